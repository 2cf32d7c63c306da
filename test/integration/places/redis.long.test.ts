import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';
import { Counters, type CountersOptions } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../../support/database';
import { type RedisServer, startRedis } from '../../support/services';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, ENTITIES, execute, Post } from './schemas';

let database: TestDatabase;
let one: RedisServer;
let other: RedisServer;

beforeAll(async () => {
  [one, other] = await Promise.all([startRedis(), startRedis()]);
});
afterAll(async () => {
  await Promise.all([one.stop(), other.stop()]);
});

interface Opened {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly errors: unknown[];
  recounted(): number;
  close(): Promise<void>;
}

const opened = new Set<Opened>();

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const process of opened) await process.close();
  await database.drop();
});

async function open(redis: string, options: Partial<CountersOptions> = {}): Promise<Opened> {
  const dataSource = newDataSource(database.url, [...ENTITIES]);
  const errors: unknown[] = [];
  let recounted = 0;
  const counters = await Counters.attach(dataSource, { redis, ...TEST_OPTIONS, ...options });
  counters.on('error', (error) => errors.push(error));
  counters.on('recalculated', ({ checked }) => (recounted += checked));
  try {
    await dataSource.initialize();
  } catch (error) {
    await counters.close();
    throw error;
  }
  const process: Opened = {
    dataSource,
    counters,
    errors,
    recounted: () => recounted,
    async close() {
      if (!opened.delete(process)) return;
      await counters.close();
      await dataSource.destroy();
    },
  };
  opened.add(process);
  return process;
}

async function expectCounted(posts: number): Promise<void> {
  const counts = () => execute(database.url, 'SELECT "postsCount" AS counted FROM author');
  await until(async () => (await counts())[0]?.['counted'] === posts).catch(() => undefined);
  expect(await counts()).toEqual([{ counted: posts }]);
}

const codes = (processes: readonly Opened[]): unknown[] =>
  processes.flatMap(({ errors }) => errors.map((error) => (error as { code?: unknown }).code));

/** Lets every process look at its Redis a few times. */
async function looks(times = 3): Promise<void> {
  const seen = async (): Promise<unknown> =>
    (
      await execute(
        database.url,
        `SELECT min((value::jsonb ->> 'seen')::numeric) AS at FROM counter_cache_state WHERE starts_with(id, 'process:')`,
      )
    )[0]?.['at'];
  for (let i = 0; i < times; i++) {
    const before = await seen();
    await until(async () => (await seen()) !== before);
  }
}

test('a process with another prefix is refused while others live, and told which one they use', async () => {
  const first = await open(one.url);
  await first.counters.startWorker();
  await first.dataSource.manager.save(Author, { id: 1 });
  await expect(open(one.url, { prefix: 'shop' })).rejects.toMatchObject({
    code: 'STATE_MISMATCH',
    message: expect.stringMatching(
      /'prefix' of this installation to be 'cc'.*1 other process .*got: 'shop'/,
    ) as unknown,
  });
  await first.dataSource.manager.insert(Post, { authorId: 1 });
  await looks();
  await expectCounted(1);
  expect([first.errors, first.recounted()]).toEqual([[], 0]);
});

test('a process with another Redis is refused while others live, and told where theirs is, without a secret', async () => {
  const first = await open(one.url);
  await first.counters.startWorker();
  await first.dataSource.manager.save(Author, { id: 1 });
  const attempts = await Promise.all(
    Array.from({ length: 3 }, () =>
      open(other.url.replace('redis://', 'redis://default:s3cret@')).catch((error: unknown) => error),
    ),
  );
  for (const error of attempts) {
    expect(error).toMatchObject({ code: 'STATE_MISMATCH' });
    expect(String(error)).toContain(`127.0.0.1:${one.port}`);
    expect(String(error)).toContain(`127.0.0.1:${other.port}`);
    expect(JSON.stringify([String(error), (error as { context?: unknown }).context])).not.toContain('s3cret');
  }
  for (let i = 0; i < 20; i++) await first.dataSource.manager.insert(Post, { authorId: 1 });
  await looks();
  await expectCounted(20);
  expect([first.errors, first.recounted()]).toEqual([[], 0]);
});

test.each([
  ['another Redis', () => ({ redis: other.url, prefix: 'cc' })],
  ['another prefix', () => ({ redis: one.url, prefix: 'shop' })],
])('%s is adopted once all processes have ended: what waited is recounted, once', async (_, moved) => {
  const first = await open(one.url, { wait: 600_000 });
  await first.dataSource.manager.save(Author, { id: 1 });
  await first.dataSource.manager.insert(Post, { authorId: 1 });
  await first.counters.settled();
  await first.close();
  const { redis, prefix } = moved();
  const processes = await Promise.all([open(redis, { prefix }), open(redis, { prefix }), open(redis, { prefix })]);
  await processes[0]?.counters.startWorker();
  await processes[1]?.counters.startWorker();
  await processes[0]?.dataSource.manager.insert(Post, { authorId: 1 });
  await expectCounted(2);
  await looks();
  const told = codes(processes);
  expect(new Set(told)).toEqual(new Set(['BUFFER_LOST']));
  // Once for the shards, however many of the processes find some of them.
  expect(told.length).toBeLessThanOrEqual(3);
  // And back: what the first holds is out of date.
  for (const process of processes) await process.close();
  const back = await open(one.url);
  await back.counters.startWorker();
  await back.dataSource.manager.insert(Post, { authorId: 1 });
  await expectCounted(3);
  expect(await back.counters.verify()).toMatchObject({ fixedCount: 0 });
});

test('a process that was killed is taken for gone after a while', async () => {
  const first = await open(one.url);
  await first.dataSource.manager.save(Author, { id: 1 });
  // As if it lived: nobody has said otherwise.
  await execute(
    database.url,
    `INSERT INTO counter_cache_state SELECT 'process:killed', value FROM counter_cache_state WHERE starts_with(id, 'process:')`,
  );
  await first.close();
  await expect(open(other.url)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  const second = await until(async () => open(other.url).catch(() => null));
  await second.counters.startWorker();
  await second.dataSource.manager.insert(Post, { authorId: 1 });
  await expectCounted(1);
});

test.each([
  [
    'emptied',
    async () => {
      const redis = new Redis(one.url);
      await redis.flushall();
      redis.disconnect();
    },
  ],
  ['restarted empty', () => one.restart({ keepData: false })],
])('a Redis that is %s beneath many processes is a loss, and no refusal', async (_, lose) => {
  const first = await open(one.url);
  const processes = [first, ...(await Promise.all([open(one.url), open(one.url)]))];
  await processes[0]?.counters.startWorker();
  await processes[1]?.counters.startWorker();
  await first.dataSource.manager.save(Author, { id: 1 });
  await first.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }]);
  await expectCounted(2);
  await execute(database.url, 'UPDATE author SET "postsCount" = 44');
  await lose();
  const newcomer = await open(one.url);
  await newcomer.dataSource.manager.insert(Post, { authorId: 1 });
  await expectCounted(3);
  await looks();
  const told = codes([...processes, newcomer]);
  expect(told).not.toContain('STATE_MISMATCH');
  expect(told).toContain('BUFFER_LOST');
  const lost = told.filter((code) => code === 'BUFFER_LOST').length;
  // What the loss led to is done.
  let recounts: number[] = [];
  await until(async () => {
    const before = recounts;
    await looks(3);
    recounts = [...processes, newcomer].map((process) => process.recounted());
    return String(recounts) === String(before);
  });
  await looks(5);
  expect(codes([...processes, newcomer]).filter((code) => code === 'BUFFER_LOST')).toHaveLength(lost);
  expect([...processes, newcomer].map((process) => process.recounted())).toEqual(recounts);
  const redis = new Redis(one.url);
  const [key = ''] = await redis.keys('{cc:*:redis}:1:token');
  const [row] = await execute(
    database.url,
    `SELECT value::jsonb ->> 'token' AS token FROM counter_cache_state WHERE id = 'redis'`,
  );
  expect(await redis.get(key)).toBe(row?.['token']);
  await redis.flushall();
  redis.disconnect();
});
