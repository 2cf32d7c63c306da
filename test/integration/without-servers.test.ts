import { Counters, type CountersOptions, InProcessScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';

import { createDatabase, type TestDatabase } from '../support/database';
import { newDataSource } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';

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

/** Counters without Redis: pending deltas and wake-ups live in this process. */
async function start(options: Partial<CountersOptions> = {}) {
  const dataSource = newDataSource(database.url, [Author, Post]);
  const counters = await Counters.attach(dataSource, {
    buffer: new MemoryBuffer({ window: 10 }),
    scheduler: new InProcessScheduler({ onError: (error) => errors.push(error) }),
    wait: 20,
    sweepInterval: 60_000,
    ...options,
  });
  counters.on('error', (error) => errors.push(error));
  await dataSource.initialize();
  cleanups.push(async () => {
    await counters.close();
    await dataSource.destroy();
  });
  return { dataSource, counters, manager: dataSource.manager };
}

const QUIET = { dirty: 0, batches: 0, intents: 0, failed: [] };

describe('without Redis: MemoryBuffer and InProcessScheduler', () => {
  test('a worker applies what is written when it is due, fired by the scheduler', async () => {
    const { manager, counters, dataSource } = await start();
    await counters.startWorker();
    const author = await manager.save(Author, { name: 'a' });
    await dataSource.transaction(async (inner) => {
      await inner.save(Post, { author, likes: 4, published: true });
      await inner.insert(Post, { author });
    });
    await until(async () => (await manager.findOneByOrFail(Author, { id: author.id })).postsCount === 2, 5_000);
    expect(await manager.findOneByOrFail(Author, { id: author.id })).toMatchObject({ publishedCount: 1, likesSum: 4 });
    await until(async () => (await counters.status()).batches === 0);
    expect(await counters.status()).toMatchObject(QUIET);
  });

  test('a test of its user needs no worker: flush()', async () => {
    const { manager, counters } = await start();
    const { id } = await manager.save(Author, { name: 'a' });
    await manager.insert(Post, [{ authorId: id }, { authorId: id }]);
    expect(await counters.read(Author, id, 'postsCount')).toBe(2);
    expect((await manager.findOneByOrFail(Author, { id })).postsCount).toBe(0);
    expect(await counters.flush()).toEqual({ batches: 1, targets: 1, unapplied: 0, updates: 1 });
    expect((await manager.findOneByOrFail(Author, { id })).postsCount).toBe(2);
  });

  test('recalculations are asked for by writes, and fire in this process', async () => {
    const { manager, counters, dataSource } = await start({ recalculationDelay: 200 });
    await counters.startWorker();
    const { id } = await manager.save(Author, { name: 'a' });
    await dataSource.query('UPDATE author SET "postsCount" = 30');
    await manager.insert(Post, { authorId: id });
    await until(async () => (await manager.findOneByOrFail(Author, { id })).postsCount === 1, 5_000);
  });

  test('8 writers and recalculations beside them end right', async () => {
    const { manager, counters, dataSource } = await start();
    const worker = await counters.startWorker();
    const authors = await manager.save(Author, [{ name: 'a' }, { name: 'a' }, { name: 'a' }]);
    const stop = new AbortController();
    const writers = Array.from({ length: 8 }, async (_, client) => {
      for (let i = 0; i < 40; i++) await manager.save(Post, { author: authors[(client + i) % 3] ?? null, likes: i });
    });
    const recalculations = (async () => {
      while (!stop.signal.aborted) expect(await counters.recalculate()).toMatchObject({ fixedCount: 0 });
    })();
    await Promise.all(writers);
    stop.abort();
    await recalculations;
    await worker.close();
    await counters.flush();
    const rows: Record<string, number>[] = await dataSource.query(TRUTH);
    expect(rows.map((row) => [row['postsCount'], row['likesSum']])).toEqual(
      rows.map((row) => [row['posts'], row['likes']]),
    );
  });

  test('what was pending when the process ended is found missing by the next one, and recounted', async () => {
    const first = await start();
    const { id } = await first.manager.save(Author, { name: 'a' });
    await first.manager.insert(Post, { authorId: id });
    await first.counters.settled();
    await first.counters.close();
    const second = await start();
    await second.counters.startWorker();
    await until(async () => (await second.manager.findOneByOrFail(Author, { id })).postsCount === 1, 5_000);
    expect(errors.splice(0)).toEqual([expect.objectContaining({ code: 'BUFFER_LOST' })]);
  });
});
