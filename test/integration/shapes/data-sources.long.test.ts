import type { DataSource, DataSourceOptions } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { createDatabase } from '../../support/database';
import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, TEST_OPTIONS } from '../../support/setup';
import { Author, Post } from '../blog';
import { expectEveryWrite } from './every-write';
import { expectRight, type Truth } from './truth';

const OPTIONS = { redis: redisUrl(), ...TEST_OPTIONS, shards: 2 };

const truthOf = (prefix = ''): readonly Truth[] => {
  const from = `FROM "${prefix}post" p WHERE p."authorId" = t.id AND p."deletedAt" IS NULL`;
  const columns = {
    '"postsCount"': `(SELECT count(*) ${from})`,
    '"publishedCount"': `(SELECT count(*) ${from} AND p.published)`,
    '"likesSum"': `(SELECT COALESCE(sum(p.likes), 0) ${from})`,
  };
  return [{ table: `"${prefix}author"`, columns }];
};

/** A DataSource with counters, and what they should be. */
interface Attached extends Pick<Fixture, 'dataSource' | 'counters' | 'errors'> {
  readonly truths: readonly Truth[];
}

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function database(): Promise<string> {
  const created = await createDatabase();
  cleanups.push(() => created.drop());
  return created.url;
}

function dataSourceOn(url: string, options: Partial<DataSourceOptions> = {}): DataSource {
  const dataSource = newDataSource(url, [Author, Post], options);
  cleanups.push(() => dataSource.isInitialized && dataSource.destroy());
  return dataSource;
}

async function attach(dataSource: DataSource, prefix = ''): Promise<Attached> {
  const counters = await Counters.attach(dataSource, OPTIONS);
  const errors: unknown[] = [];
  counters.on('error', (error) => errors.push(error));
  cleanups.push(() => counters.close());
  if (!dataSource.isInitialized) await dataSource.initialize();
  return { dataSource, counters, errors, truths: truthOf(prefix) };
}

const fixtureOf = (attached: Attached): Fixture => ({
  ...attached,
  databaseUrl: '',
  worker: null,
  close: () => Promise.resolve(),
});

const expectExact = (attached: Attached): Promise<void> => expectRight(fixtureOf(attached), attached.truths);

async function expectEveryWriteOf(attached: Attached): Promise<void> {
  const authors = await attached.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }]);
  await expectEveryWrite<Author>(fixtureOf(attached), {
    source: Post,
    targets: authors as [Author & { name: string }, Author & { name: string }],
    values: (author, likes) => ({ author, likes, published: likes % 2 === 0 }),
    truths: attached.truths,
  });
}

/** Writes of all kinds, one by one, each of which may go between two of another DataSource. */
async function write({ manager }: DataSource, rounds: number): Promise<void> {
  const { id: one } = await manager.save(Author, { name: 'x' });
  const { id: two } = await manager.save(Author, { name: 'y' });
  for (let round = 0; round < rounds; round++) {
    const { id } = await manager.save(Post, { authorId: one, likes: round });
    await manager.insert(Post, [{ authorId: one }, { authorId: two, published: true }]);
    await manager.transaction(async (inner) => {
      await inner.update(Post, { id }, { authorId: two, likes: 7 });
      await inner.softDelete(Post, { authorId: one });
      await inner.transaction((nested) => nested.delete(Post, { likes: 0 })).catch(() => undefined);
    });
    await manager.restore(Post, { authorId: one });
  }
  await manager.delete(Author, { id: two });
}

/** The counters of every author, as columns and by counting. */
async function columnsOf({ manager }: DataSource): Promise<number[]> {
  return (await manager.find(Author, { order: { id: 'ASC' } })).map(({ postsCount }) => postsCount);
}

describe('another DataSource without counters', () => {
  test('of the same database and entities: its writes are not captured, ours are', async () => {
    const url = await database();
    const ours = await attach(dataSourceOn(url));
    const theirs = dataSourceOn(url, { synchronize: false });
    const { manager } = ours.dataSource;
    const author = await manager.save(Author, { name: 'a' });
    const before = manager.createQueryBuilder().insert().into(Post).values({ authorId: author.id });
    await theirs.initialize();
    // Made before the other one registered query builders of its own.
    await before.execute();
    await manager.transaction(async (inner) => {
      await inner.insert(Post, { authorId: author.id });
      await theirs.transaction(async (other) => {
        await other.insert(Post, { authorId: author.id });
        await inner.insert(Post, { authorId: author.id });
        await manager.insert(Post, { authorId: author.id });
      });
      await theirs.manager.insert(Post, { authorId: author.id });
    });
    await ours.counters.flush();
    expect(await columnsOf(ours.dataSource)).toEqual([4]);
    expect(await ours.counters.recalculate()).toMatchObject({ fixedCount: 1 });
    expect(await columnsOf(ours.dataSource)).toEqual([6]);
    await theirs.destroy();
    await expectEveryWriteOf(ours);
  });

  test('that writes counter columns: its own business, and ours stay protected', async () => {
    const url = await database();
    const ours = await attach(dataSourceOn(url));
    const theirs = await dataSourceOn(url, { synchronize: false }).initialize();
    const { id } = await theirs.manager.save(Author, { name: 'a', postsCount: 40 });
    await ours.dataSource.manager.update(Author, { id }, { name: 'b', postsCount: 50 });
    expect(await columnsOf(theirs)).toEqual([40]);
    await ours.counters.recalculate();
    await expectExact(ours);
  });
});

describe('two DataSources with counters', () => {
  test('on two databases, with writes between one another', async () => {
    const first = await attach(dataSourceOn(await database()));
    const second = await attach(dataSourceOn(await database()));
    await Promise.all([write(first.dataSource, 4), write(second.dataSource, 3), write(first.dataSource, 2)]);
    await second.counters.settled();
    const { dirty } = await second.counters.status();
    await first.counters.flush();
    expect(await second.counters.status()).toMatchObject({ dirty });
    await expectExact(first);
    await expectExact(second);
    await expectEveryWriteOf(second);
    await expectExact(first);
  });

  test('on two databases, one transaction within another', async () => {
    const first = await attach(dataSourceOn(await database()));
    const second = await attach(dataSourceOn(await database()));
    const failure = new Error('rolled back');
    const authors = await Promise.all(
      [first, second].map(({ dataSource }) => dataSource.manager.save(Author, { name: 'same' })),
    );
    expect(authors[0]?.id).toBe(authors[1]?.id);
    const authorId = authors[0]?.id ?? 0;
    await first.dataSource.transaction(async (outer) => {
      await outer.insert(Post, [{ authorId }, { authorId }]);
      const inner = second.dataSource.transaction(async (other) => {
        await other.insert(Post, { authorId, likes: 5 });
        await outer.insert(Post, { authorId, published: true });
        throw failure;
      });
      await expect(inner).rejects.toBe(failure);
      await second.dataSource.manager.insert(Post, { authorId, likes: 9 });
    });
    const outer = first.dataSource.transaction(async (rolledBack) => {
      await rolledBack.insert(Post, { authorId });
      await second.dataSource.transaction((other) => other.insert(Post, { authorId, likes: 1 }));
      throw failure;
    });
    await expect(outer).rejects.toBe(failure);
    await expectExact(first);
    await expectExact(second);
    expect(await columnsOf(first.dataSource)).toEqual([3]);
    expect(await columnsOf(second.dataSource)).toEqual([2]);
  });

  test('on one database, as two processes have: each write counts once, whoever makes it', async () => {
    const url = await database();
    const first = await attach(dataSourceOn(url));
    const second = await attach(dataSourceOn(url, { synchronize: false }));
    await Promise.all([write(first.dataSource, 3), write(second.dataSource, 3)]);
    await Promise.all([first.counters.settled(), second.counters.settled()]);
    await expectExact(first);
    await second.counters.close();
    await expectEveryWriteOf(first);
  });

  test('on one database, the same entities with and without a prefix', async () => {
    const url = await database();
    const plain = await attach(dataSourceOn(url));
    const prefixed = await attach(dataSourceOn(url, { entityPrefix: 'p_' }), 'p_');
    await Promise.all([write(plain.dataSource, 3), write(prefixed.dataSource, 3)]);
    await expectExact(plain);
    await expectExact(prefixed);
    await expectEveryWriteOf(prefixed);
    await expectExact(plain);
  });
});

describe('one DataSource', () => {
  test('counts every kind of write once after each destroy() and initialize()', async () => {
    const ours = await attach(dataSourceOn(await database()));
    for (let round = 0; round < 2; round++) {
      await expectEveryWriteOf(ours);
      await write(ours.dataSource, 2);
      await ours.counters.settled();
      await ours.dataSource.destroy();
      await ours.dataSource.initialize();
      await expectExact(ours);
    }
  });

  test('counts every kind of write once after close() and another attach', async () => {
    const dataSource = dataSourceOn(await database());
    for (let round = 0; round < 2; round++) {
      const ours = await attach(dataSource);
      await expectEveryWriteOf(ours);
      await write(dataSource, 2);
      await ours.counters.close();
      const again = await attach(dataSource);
      await expectExact(again);
      await again.counters.close();
    }
  });

  test('is attached by one of two that try at once', async () => {
    const dataSource = dataSourceOn(await database());
    const tries = await Promise.allSettled([
      Counters.attach(dataSource, OPTIONS),
      Counters.attach(dataSource, OPTIONS),
    ]);
    const attached = tries.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const counters of attached) cleanups.push(() => counters.close());
    expect(attached).toHaveLength(1);
    expect(tries.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: expect.objectContaining({ code: 'CONFIGURATION' }) as unknown,
    });
    await dataSource.initialize();
    const [counters] = attached;
    if (counters === undefined) throw new Error('nothing attached');
    await expectEveryWriteOf({ dataSource, counters, errors: [], truths: truthOf() });
  });

  test('is free again after an attach that failed', async () => {
    const dataSource = dataSourceOn(await database());
    await expect(Counters.attach(dataSource, { ...OPTIONS, wait: -1 })).rejects.toMatchObject({
      code: 'CONFIGURATION',
    });
    await expect(
      Counters.attach(dataSource, { ...OPTIONS, redis: 'redis://localhost:1', attachTimeout: 100 }),
    ).rejects.toMatchObject({ code: 'BUFFER_UNAVAILABLE' });
    await expectEveryWriteOf(await attach(dataSource));
  });
});
