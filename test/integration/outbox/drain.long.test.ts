import { Counters } from 'typeorm-counter-cache';

import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { untilDrained, waitingRows, wrongAuthors } from './outbox';

let fixture: Fixture;
const cleanups: (() => Promise<unknown>)[] = [];

async function start(options: NonNullable<Parameters<typeof setup>[0]['counters']>, worker = false): Promise<void> {
  fixture = await setup({ entities: [Author, Post], counters: { mode: 'outbox', ...options }, worker });
  cleanups.push(() => fixture.close());
}

afterEach(async () => {
  await fixture.counters.flush();
  expect(await wrongAuthors(fixture)).toEqual([]);
  expect(await waitingRows(fixture)).toBe(0);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  expect(fixture.errors).toEqual([]);
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const newAuthors = async (count: number): Promise<number[]> => {
  const authors = Array.from({ length: count }, () => ({ name: 'a' }));
  return (await fixture.dataSource.manager.save(Author, authors)).map(({ id }) => id);
};
const countOf = async (id: number): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
const post = (authorId: number): Promise<unknown> => fixture.dataSource.manager.insert(Post, { authorId });

test('a wake-up wakes the worker when deltas are due', async () => {
  await start({ wait: 20, window: 10, sweepInterval: 600_000 }, true);
  const [id = 0] = await newAuthors(1);
  for (let round = 1; round <= 3; round++) {
    await post(id);
    await until(async () => (await countOf(id)) === round, 10_000);
  }
});

test('I4: without any wake-up, the worker finds what is due by itself', async () => {
  await start(
    {
      scheduler: {
        schedule: async () => undefined,
        start: async () => ({ close: async () => undefined }),
        close: async () => undefined,
      },
    },
    true,
  );
  const [id = 0] = await newAuthors(1);
  await post(id);
  await until(async () => (await countOf(id)) === 1);
});

test('I8: all that waits for a row is one UPDATE, when the first of it is due', async () => {
  const wait = 500;
  await start({ wait, window: 10, sweepInterval: 20 }, true);
  const [id = 0] = await newAuthors(1);
  let updates = 0;
  fixture.counters.on('reconciled', ({ changes }) => (updates += changes.length));
  const started = performance.now();
  let written = 0;
  while (performance.now() - started < 1_200) {
    await post(id);
    written += 1;
  }
  const elapsed = performance.now() - started;
  await untilDrained(fixture);
  expect(await countOf(id)).toBe(written);
  expect(updates).toBeLessThanOrEqual(Math.ceil(elapsed / wait) + 1);
  expect(written).toBeGreaterThan(2 * updates);
});

test('a row that somebody has locked is put off; the others are applied', async () => {
  await start({ wait: 600_000 });
  const [one = 0, two = 0] = await newAuthors(2);
  await fixture.dataSource.manager.insert(Post, [{ authorId: one }, { authorId: two }]);
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query('BEGIN');
  await runner.query('SELECT id FROM author WHERE id = $1 FOR NO KEY UPDATE', [one]);
  expect(await fixture.counters.flush()).toMatchObject({ targets: 1, unapplied: 1 });
  expect([await countOf(one), await countOf(two)]).toEqual([0, 1]);
  await runner.query('COMMIT');
  await runner.release();
  expect(await waitingRows(fixture)).toBe(1);
});

test('a row that the database refuses is parked with all that follows, until retryFailed', async () => {
  await start({ wait: 600_000, shards: 1 });
  const ids = await newAuthors(5);
  const [, , refused = 0] = ids;
  const failed: unknown[] = [];
  fixture.counters.on('failed', (event) => failed.push(event));
  await fixture.dataSource.query(
    `ALTER TABLE author ADD CONSTRAINT closed CHECK (id <> ${refused} OR "postsCount" = 0)`,
  );
  const fill = (): Promise<unknown> =>
    fixture.dataSource.manager.insert(
      Post,
      ids.map((authorId) => ({ authorId })),
    );
  await fill();
  expect(await fixture.counters.flush()).toMatchObject({ targets: 4, unapplied: 1 });
  await fill();
  expect(await fixture.counters.flush()).toMatchObject({ targets: 4, unapplied: 0 });
  expect(await Promise.all(ids.map(countOf))).toEqual([2, 2, 0, 2, 2]);
  const row = { entity: 'Author', id: String(refused), reason: expect.stringContaining('"closed"') as string };
  expect(failed).toEqual([row]);
  expect(await fixture.counters.status()).toMatchObject({ dirty: 0, failed: [row] });
  expect(await fixture.counters.read(Author, refused, 'postsCount')).toBe(2);
  await fixture.dataSource.query('ALTER TABLE author DROP CONSTRAINT closed');
  expect(await fixture.counters.retryFailed({ target: Author, ids: [ids[0] ?? 0] })).toBe(0);
  expect(await fixture.counters.retryFailed()).toBe(1);
  await fixture.counters.flush();
  expect(await countOf(refused)).toBe(2);
});

test('what waits for a row that has gone is dropped', async () => {
  await start({ wait: 600_000 });
  const [id = 0] = await newAuthors(1);
  await post(id);
  await fixture.dataSource.query('DELETE FROM author WHERE id = $1', [id]);
  await fixture.counters.flush();
  expect(await waitingRows(fixture)).toBe(0);
});

test('a transaction that wrote its rows early and commits late is not passed over', async () => {
  await start({ wait: 1, window: 1, sweepInterval: 20 }, true);
  const [id = 0] = await newAuthors(1);
  const early = fixture.dataSource.createQueryRunner();
  await early.query('BEGIN');
  await early.query(
    `INSERT INTO counter_cache_outbox ("shard", "target", "column", "amount", "touches", "written_at", "due", "repair")
     SELECT "shard", 'author:id:${id}', 'likesSum', 7, '{}', now(), now(), false FROM counter_cache_shard LIMIT 1`,
  );
  for (let i = 0; i < 3; i++) await post(id);
  await untilDrained(fixture);
  expect(await countOf(id)).toBe(3);
  await early.query('COMMIT');
  await early.release();
  await until(async () => (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).likesSum === 7);
  await fixture.dataSource.query('UPDATE author SET "likesSum" = 0 WHERE id = $1', [id]);
});

test('two workers that drain at once, under 8 writers', async () => {
  const fast = { wait: 1, window: 5, sweepInterval: 10, batchSize: 2 };
  await start(fast, true);
  const dataSource = newDataSource(fixture.databaseUrl, [Author, Post], { synchronize: false });
  const other = await Counters.attach(dataSource, {
    redis: redisUrl(),
    ...TEST_OPTIONS,
    ...fast,
    mode: 'outbox',
  });
  await dataSource.initialize();
  cleanups.push(async () => {
    await other.close();
    await dataSource.destroy();
  });
  await other.startWorker();
  const applied = { here: 0, there: 0 };
  fixture.counters.on('reconciled', () => (applied.here += 1));
  other.on('reconciled', () => (applied.there += 1));
  const ids = await newAuthors(5);
  await Promise.all(
    Array.from({ length: 8 }, async (_, client) => {
      for (let round = 0; round < 60; round++) {
        const { manager } = fixture.dataSource;
        const authorId = ids[(client + round) % 5] ?? 0;
        const { id } = await manager.save(Post, { authorId, likes: round, published: round % 2 === 0 });
        if (round % 3 === 0) await manager.update(Post, { id }, { authorId: ids[client % 5] ?? 0 });
        if (round % 7 === 0) await manager.delete(Post, { id });
      }
    }),
  );
  await untilDrained(fixture);
  expect(Math.min(applied.here, applied.there)).toBeGreaterThan(5);
});
