import type { DataSource } from 'typeorm';
import { Counters, counterCacheEntities } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../support/database';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { installationOf } from './internals';
import { Note } from './note';

const OPTIONS = { redis: redisUrl(), ...TEST_OPTIONS };

let database: TestDatabase;
const cleanups: (() => unknown)[] = [];
const errors: unknown[] = [];

beforeEach(async () => {
  database = await createDatabase();
  cleanups.push(() => database.drop());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  expect(errors.splice(0)).toEqual([]);
});

function dataSourceOf(entities: readonly unknown[], url = database.url): DataSource {
  const dataSource = newDataSource(url, entities as never);
  cleanups.push(() => dataSource.isInitialized && dataSource.destroy());
  return dataSource;
}

async function attach(dataSource: DataSource): Promise<Counters> {
  const counters = await Counters.attach(dataSource, OPTIONS);
  counters.on('error', (error) => errors.push(error));
  cleanups.push(() => counters.close());
  return counters;
}

/** Writes one post in each way that counts, and expects it to be counted once. */
async function expectCounting(dataSource: DataSource, counters: Counters): Promise<void> {
  const { manager } = dataSource;
  const { id } = await manager.save(Author, { name: 'a' });
  await manager.save(Post, { authorId: id });
  await manager.insert(Post, { authorId: id });
  await dataSource.transaction((inner) => inner.insert(Post, { authorId: id }));
  expect(await counters.flush()).toMatchObject({ targets: 1 });
  expect(await manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 3 });
}

/** Writes one post, and expects nothing to count it. */
async function expectNoCounting(dataSource: DataSource): Promise<void> {
  const { manager } = dataSource;
  const { id } = await manager.save(Author, { name: 'uncounted', postsCount: 40 });
  await manager.insert(Post, { authorId: id });
  expect(await manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 40 });
}

describe('attach', () => {
  test('before initialize()', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    expect(counters.definitions).toEqual([]);
    await dataSource.initialize();
    expect(counters.definitions).toHaveLength(3);
    await expectCounting(dataSource, counters);
  });

  test('after initialize()', async () => {
    const dataSource = dataSourceOf([Author, Post, ...counterCacheEntities]);
    await dataSource.initialize();
    const counters = await attach(dataSource);
    expect(counters.definitions).toHaveLength(3);
    await expectCounting(dataSource, counters);
  });

  test('twice is refused, and the first stays as it was', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await expect(Counters.attach(dataSource, OPTIONS)).rejects.toThrow('has counters already');
    await dataSource.initialize();
    await expect(Counters.attach(dataSource, OPTIONS)).rejects.toThrow('has counters already');
    await expectCounting(dataSource, counters);
  });

  test('is not disturbed by a DataSource that is created later', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    const other = dataSourceOf([Note]);
    await other.initialize();
    await expectCounting(dataSource, counters);
    await other.destroy();
    await expectCounting(dataSource, counters);
  });

  test('leaves other DataSources of the same entities alone', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    const other = dataSourceOf([Author, Post]);
    await other.initialize();
    await expectNoCounting(other);
    await expectCounting(dataSource, counters);
  });
});

describe('destroy() and initialize() again', () => {
  test('counts once', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    for (let round = 0; round < 3; round++) {
      await dataSource.initialize();
      await expectCounting(dataSource, counters);
      await dataSource.destroy();
    }
  });

  test('counts once when attached in between', async () => {
    const dataSource = dataSourceOf([Author, Post, ...counterCacheEntities]);
    await dataSource.initialize();
    await dataSource.destroy();
    const counters = await attach(dataSource);
    await dataSource.initialize();
    await expectCounting(dataSource, counters);
  });

  test('keeps what was pending', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    await dataSource.manager.insert(Post, { authorId: id });
    await counters.settled();
    await dataSource.destroy();
    await dataSource.setOptions({ dropSchema: false }).initialize();
    await counters.flush();
    expect(await dataSource.manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 1 });
  });
});

test('two databases side by side on one Redis never meet', async () => {
  const second = await createDatabase();
  cleanups.push(() => second.drop());
  const [one, two] = [dataSourceOf([Author, Post]), dataSourceOf([Author, Post], second.url)];
  const [first, other] = [await attach(one), await attach(two)];
  await Promise.all([one.initialize(), two.initialize()]);
  expect(await installationOf(one)).not.toBe(await installationOf(two));
  // The same ids in both.
  const authors = await Promise.all([one, two].map(({ manager }) => manager.save(Author, { name: 'same' })));
  expect(authors[0]?.id).toBe(authors[1]?.id);
  await one.manager.insert(Post, [{ author: { id: 1 } }, { author: { id: 1 } }]);
  await two.manager.insert(Post, { author: { id: 1 } });
  await Promise.all([first.settled(), other.settled()]);
  await first.flush();
  expect(await other.status()).toMatchObject({ dirty: 1 });
  expect(await two.manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ postsCount: 0 });
  await Promise.all([first.startWorker(), other.startWorker()]);
  await until(async () => (await two.manager.findOneByOrFail(Author, { id: 1 })).postsCount === 1);
  expect(await one.manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ postsCount: 2 });
});

describe('close()', () => {
  test('is idempotent', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    const worker = await counters.startWorker();
    await Promise.all([counters.close(), counters.close()]);
    await counters.close();
    await worker.close();
    expect(dataSource.isInitialized).toBe(true);
  });

  test('refuses what comes after it', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    await counters.close();
    await expect(counters.startWorker()).rejects.toMatchObject({ code: 'CLOSED' });
    for (const call of [() => counters.flush(), () => counters.status(), () => counters.recalculate()])
      await expect(call()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('lets go of the DataSource, which may be attached again and then counts once', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const first = await attach(dataSource);
    await dataSource.initialize();
    await expectCounting(dataSource, first);
    await first.close();
    const second = await attach(dataSource);
    await expectCounting(dataSource, second);
    await second.close();
    await dataSource.destroy();
    await dataSource.initialize();
    await expectNoCounting(dataSource);
    await dataSource.destroy();
    const third = await attach(dataSource);
    await dataSource.initialize();
    await expectCounting(dataSource, third);
  });

  test('waits for what was written just before', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const first = await attach(dataSource);
    await dataSource.initialize();
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    await dataSource.manager.insert(Post, { authorId: id });
    await first.close();
    const second = await attach(dataSource);
    expect(await second.status()).toMatchObject({ dirty: 1, intents: 0 });
    await second.flush();
    expect(await dataSource.manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 1 });
  });

  test('before initialize() leaves a DataSource that works', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    await (await attach(dataSource)).close();
    await dataSource.initialize();
    await expectNoCounting(dataSource);
  });

  test('after destroy() works, with a worker running', async () => {
    const dataSource = dataSourceOf([Author, Post]);
    const counters = await attach(dataSource);
    await dataSource.initialize();
    await expectCounting(dataSource, counters);
    await dataSource.destroy();
    await counters.close();
  });
});
