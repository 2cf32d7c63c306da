import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

import { type Fixture, setup } from '../support/setup';
import { type RedisServer, startRedis } from '../support/services';
import { Author, Post } from './blog';
import { type Internals, openInternals } from './internals';
import { Meter } from '../support/meter';

/** Our own: its statistics are those of this file. */
let server: RedisServer;
let redis: Redis;
let meter: Meter;
let fixture: Fixture;
let internals: Internals;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
  meter = new Meter();
});
afterAll(async () => {
  meter.close();
  redis.disconnect();
  await server.stop();
});
afterEach(async () => {
  await internals.close();
  await fixture.close();
  await redis.flushall();
  expect(fixture.errors).toEqual([]);
});

async function open(shards: number): Promise<void> {
  const options = { redis: server.url, shards, batchSize: 1_000, wait: 600_000, window: 300_000 };
  fixture = await setup({ entities: [Author, Post], counters: { sweepInterval: 600_000, ...options } });
  internals = await openInternals(fixture.dataSource, options, server.url);
  // The first time a script is sent whole, and a connection to PostgreSQL introduces itself.
  await makeDirty(1);
  await fixture.counters.flush();
}

/** One post each for new authors, in one statement. */
async function makeDirty(targets: number): Promise<void> {
  const { manager } = fixture.dataSource;
  const authors = await manager.save(
    Author,
    Array.from({ length: targets }, () => ({ name: 'a' })),
  );
  await manager.insert(
    Post,
    authors.map(({ id }) => ({ authorId: id, published: true })),
  );
  await fixture.counters.settled();
}

/** Commands that Redis runs for `work`, those that scripts call included, by name. */
async function commandsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  await redis.config('RESETSTAT');
  await work();
  const statistics = await redis.info('commandstats');
  const calls = [...statistics.matchAll(/^cmdstat_(\w+):calls=(\d+)/gm)].map(([, name = '', count]) => [name, count]);
  return Object.fromEntries(
    calls.filter(([name]) => !['config', 'info'].includes(name ?? '')).map(([name, count]) => [name, Number(count)]),
  ) as Record<string, number>;
}

const BATCH = ['BEGIN ISOLATION LEVEL', 'WITH fence AS', 'WITH i AS', 'COMMIT'];

test.each([1, 10, 1_000])('a batch of %i targets: four statements, one claim and one acknowledge', async (targets) => {
  await open(1);
  await makeDirty(targets);
  meter.take();
  expect(await fixture.counters.flush()).toMatchObject({ batches: 1, targets, updates: 1 });
  const { sql, scripts, commands } = meter.take();
  expect(sql).toEqual(['SELECT w.shard, w.amounts,', ...BATCH]);
  expect(scripts).toEqual(['claim', 'acknowledge', ...(targets === 1_000 ? ['claim'] : [])]);
  expect(commands).toEqual([]);
});

test('2,500 targets: three batches', async () => {
  await open(1);
  await makeDirty(2_500);
  meter.take();
  expect(await fixture.counters.flush()).toMatchObject({ batches: 3, targets: 2_500, updates: 3 });
  const { sql, scripts } = meter.take();
  // Others work on timers of their own, whenever that is.
  const own = sql.slice(1).filter((statement) => BATCH.includes(statement));
  expect(own).toEqual([...BATCH, ...BATCH, ...BATCH]);
  expect(scripts).toEqual(['claim', 'acknowledge', 'claim', 'acknowledge', 'claim', 'acknowledge']);
});

test('who listens to what was reconciled costs no statement', async () => {
  await open(1);
  await makeDirty(1_000);
  let changes = 0;
  fixture.counters.on('reconciled', (reconciled) => (changes += reconciled.changes.length));
  meter.take();
  await fixture.counters.flush();
  expect(meter.take().sql.slice(1)).toEqual(BATCH);
  // Two columns each.
  expect(changes).toBe(2_000);
});

test('within Redis, the commands of a batch do not grow with its targets', async () => {
  await open(1);
  const { buffer } = internals.context;
  // The first time, scripts are sent whole.
  await commandsOfBatch(1);
  const { claim, acknowledge } = await commandsOfBatch(1);
  expect(await commandsOfBatch(1_000)).toEqual({ claim, acknowledge });
  const count = (commands: Record<string, number>) => Object.values(commands).reduce((sum, calls) => sum + calls, 0);
  expect(count(claim)).toBeLessThanOrEqual(20);
  expect(count(acknowledge)).toBeLessThanOrEqual(10);

  async function commandsOfBatch(targets: number): Promise<Record<'claim' | 'acknowledge', Record<string, number>>> {
    await makeDirty(targets);
    let batch: string | undefined;
    const claiming = await commandsOf(async () => {
      // Not the limit: one that is reached ends the search earlier.
      const claimed = await buffer.claim(0, { select: 'dirty', tableIds: null }, 1_001);
      expect(claimed.batch?.entries).toHaveLength(targets);
      batch = claimed.batch?.id;
    });
    return { claim: claiming, acknowledge: await commandsOf(() => buffer.acknowledge(0, batch ?? '', [])) };
  }
});

test('1,000 dirty targets in a window: one reconcile and one recalculate job per shard', async () => {
  await open(4);
  const queue = new Queue(`cc-${internals.installation}`, { connection: redis });
  const before = await queue.getDelayed();
  await makeDirty(1_000);
  const jobs = [...before, ...(await queue.getDelayed())];
  const wakeUps = new Set(jobs.map(({ name, data }) => `${name} ${String((data as { shard: number }).shard)}`));
  expect(wakeUps.size).toBe(8);
  // The clock may pass into another window once.
  expect(await queue.getDelayedCount()).toBeLessThanOrEqual(16);
  await queue.close();
});

test('a dirty target is named by its key and a number, three times', async () => {
  await open(1);
  await makeDirty(100);
  const keys = await redis.keys(`{cc:${internals.installation}:0}:*`);
  const [pending, ...sorted] = await Promise.all([
    redis.hkeys(keys.find((key) => key.endsWith(':pending')) ?? ''),
    ...['due', 'recalc'].map((name) => redis.zrange(keys.find((key) => key.endsWith(`:${name}`)) ?? '', 0, -1)),
  ]);
  // Two columns each.
  expect(pending).toHaveLength(200);
  expect(pending.filter((field) => !/^\d:\d+\/\d$/.test(field))).toEqual([]);
  for (const members of sorted) {
    expect(members.length).toBeGreaterThanOrEqual(100);
    expect(members.filter((member) => !/^\d:\d+$/.test(member))).toEqual([]);
  }
});
