import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { Author, Post } from '../../integration/blog';
import { Random } from '../../integration/oracle/random';
import { waitingRows, wrongAuthors } from '../../integration/outbox/outbox';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { full, tell } from './form';
import { type OwnServers, startOwnServers } from './servers';
import { latencyOf, SteadyLoad } from './steady-load';

const DOWN_FOR = full(30_000, 5_000);
const NORMAL_FOR = full(10_000, 2_000);
const WRITES_PER_SECOND = full(200, 80);

/** As users have it. */
const REDIS_TIMEOUT = 50;

/** How much longer a write may take at the 99th percentile while Redis is down, ms. */
const SLOWER = full(100, Infinity);

let servers: OwnServers;
let fixture: Fixture;
let drifts: unknown[];

beforeAll(async () => {
  servers = await startOwnServers();
});
afterAll(() => servers.stop());
beforeEach(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { redisTimeout: REDIS_TIMEOUT, intentTimeout: 3_000, claimTimeout: 3_000, durableRedis: true },
    worker: true,
  });
  drifts = [];
  fixture.counters.on('drift', (event) => drifts.push(event));
  const authors = Array.from({ length: 20 }, () => ({ name: 'a' }));
  await fixture.dataSource.manager.save(Author, authors);
});
afterEach(() => fixture.close());

/** Inserts, moves, deletes and changes posts, one write at a time. */
async function newWrite(): Promise<() => Promise<unknown>> {
  const { manager } = fixture.dataSource;
  const ids = (await manager.find(Author)).map(({ id }) => id);
  const random = new Random(1);
  const posts: number[] = [];
  const insert = async (): Promise<void> => {
    const post = await manager.save(Post, { authorId: random.pick(ids), published: random.chance(0.5) });
    posts.push(post.id);
  };
  return async () => {
    const id = random.chance(0.5) ? posts.shift() : undefined;
    if (id === undefined) return insert();
    if (random.chance(0.3)) return manager.delete(Post, { id });
    posts.push(id);
    if (random.chance(0.5)) return manager.update(Post, { id }, { authorId: random.pick(ids) });
    return manager.update(Post, { id }, { likes: random.below(10) });
  };
}

async function isQuiet(): Promise<boolean> {
  const status = await fixture.counters.status().catch(() => null);
  if (status === null || status.dirty + status.batches + status.intents > 0) return false;
  return (await waitingRows(fixture)) === 0;
}

/** Load before, during and after an outage. */
async function runOutage(keepData: boolean): Promise<Record<'normal' | 'down' | 'after', RecordableHistogram>> {
  const load = new SteadyLoad(await newWrite(), WRITES_PER_SECOND);
  const phases = {
    warm: createHistogram(),
    normal: createHistogram(),
    down: createHistogram(),
    after: createHistogram(),
  };
  const phase = async (name: keyof typeof phases, time: number): Promise<void> => {
    load.recordIn(phases[name]);
    await delay(time);
  };
  load.recordIn(phases.warm);
  load.start();
  try {
    await phase('warm', 1_000);
    await phase('normal', NORMAL_FOR);
    await servers.redis.kill();
    await phase('down', DOWN_FOR);
    load.recordIn(phases.after);
    await servers.redis.restart({ keepData });
    await phase('after', NORMAL_FOR);
  } finally {
    await load.stop();
  }
  expect(load.failures).toEqual([]);
  return phases;
}

test.each([
  ['with its data', true],
  ['empty', false],
] as const)(
  'Redis is killed under load, and comes back later %s: no write fails or waits, and no count is wrong',
  async (how, keepData) => {
    const { normal, down, after } = await runOutage(keepData);
    const since = performance.now();
    await until(async () => (await isQuiet()) && (await wrongAuthors(fixture)).length === 0, 30_000);
    const settled = Math.round(performance.now() - since);
    const figures = { normal: latencyOf(normal), down: latencyOf(down), after: latencyOf(after), settled };
    tell(`Redis down for ${DOWN_FOR} ms, back ${how}: ${JSON.stringify({ ...figures, drifts: drifts.length })}`);
    expect(figures.down.writes).toBeGreaterThan((DOWN_FOR / 1_000) * WRITES_PER_SECOND * 0.8);
    expect(figures.down.p99).toBeLessThanOrEqual(figures.normal.p99 + SLOWER);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  },
  full(180_000, 60_000),
);
