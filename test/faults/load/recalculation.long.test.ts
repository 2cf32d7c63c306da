import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import type { Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../../integration/blog';
import { Meter } from '../../support/meter';
import { wrongAuthors } from '../../integration/outbox/outbox';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { full, tell } from './form';
import { type OwnServers, startOwnServers } from './servers';
import { latencyOf, SteadyLoad } from './steady-load';

const ROUNDS = full(20, 3);
/** `LOAD_WRITES` for a machine that is too slow for as many: writes that queue up tell nothing of what slows one down. */
const WRITES_PER_SECOND = Number(process.env['LOAD_WRITES'] ?? full(500, 150));

/** Posts that are there when the load begins. */
const POSTS = full(20_000, 2_000);

/** Recalculations of a round, one right after the other: the first one corrects, the others find nothing. */
const IN_A_ROW = 5;

/** How long the load runs before each round's recalculations, ms. */
const BEFORE = 500;

/** How far a column is spoiled behind the library's back. */
const SPOILED = 7;

/** How much longer writes may take while their target is recalculated, ms; a short run is too noisy for it. */
const SLOWER = full(10, Infinity);

/** A machine whose writes take longer than this at the 99th percentile already before, ms, cannot tell. */
const SATURATED = 200;

let servers: OwnServers;
let fixture: Fixture;
let id: number;

beforeAll(async () => {
  servers = await startOwnServers();
});
afterAll(() => servers.stop());
afterEach(() => fixture.close());

async function start(mode: Mode): Promise<void> {
  fixture = await setup({
    entities: [Author, Post],
    counters: { mode, wait: 500, window: 100, redisTimeout: 250, durableRedis: true },
    worker: true,
  });
  id = (await fixture.dataSource.manager.save(Author, { name: 'hot' })).id;
  await fixture.counters.skip(() =>
    fixture.dataSource.query('INSERT INTO post ("authorId") SELECT $1 FROM generate_series(1, $2)', [id, POSTS]),
  );
  await fixture.counters.recalculate();
}

/** Inserts, changes and deletes posts of the one author. */
function newWrite(): () => Promise<unknown> {
  const { manager } = fixture.dataSource;
  const posts: number[] = [];
  let writes = 0;
  return async () => {
    writes += 1;
    const post = writes % 3 === 0 ? undefined : posts.shift();
    if (post === undefined) return posts.push((await manager.save(Post, { authorId: id, likes: 1 })).id);
    if (writes % 3 === 1) return manager.delete(Post, { id: post });
    posts.push(post);
    return manager.update(Post, { id: post }, { likes: writes % 10, published: writes % 2 === 0 });
  };
}

/** Spoils a column under load, and recalculates it; returns how far off the first recalculation found it, and the others. */
async function recalculateUnderLoad(during: RecordableHistogram, load: SteadyLoad): Promise<number[]> {
  await fixture.dataSource.query('UPDATE author SET "postsCount" = "postsCount" + $2 WHERE id = $1', [id, SPOILED]);
  load.recordIn(during);
  const found: number[] = [];
  for (let i = 0; i < IN_A_ROW; i++) {
    const { fixed, unsettled } = await fixture.counters.recalculate({ target: Author, ids: [id] });
    expect(unsettled).toEqual([]);
    found.push(fixed.reduce((sum, { wrong, right }) => sum + Math.abs(Number(wrong) - Number(right)), 0));
  }
  return found;
}

/** Counts the same rows without the library, for as long as the recalculations of a round may take. */
async function countOnly(): Promise<void> {
  const end = performance.now() + BEFORE;
  while (performance.now() < end) await wrongAuthors(fixture);
}

interface Phases {
  readonly before: RecordableHistogram;
  /** While the rows are only counted: what a busy processor costs, and no lock. */
  readonly counting: RecordableHistogram;
  readonly during: RecordableHistogram;
}

async function runRounds(): Promise<Phases & { readonly right: number }> {
  const phases = { before: createHistogram(), counting: createHistogram(), during: createHistogram() };
  const write = newWrite();
  let right = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const load = new SteadyLoad(write, WRITES_PER_SECOND);
    load.recordIn(createHistogram());
    load.start();
    try {
      await delay(BEFORE);
      load.recordIn(phases.before);
      await delay(BEFORE);
      load.recordIn(phases.counting);
      await countOnly();
      const found = await recalculateUnderLoad(phases.during, load);
      expect(found).toEqual([SPOILED, ...Array.from({ length: IN_A_ROW - 1 }, () => 0)]);
    } finally {
      await load.stop();
    }
    expect(load.failures).toEqual([]);
    // The worker may hold the row, or a batch, when this is called.
    await until(async () => {
      await fixture.counters.flush();
      const { dirty, batches } = await fixture.counters.status();
      return dirty + batches === 0;
    });
    if ((await wrongAuthors(fixture)).length === 0) right += 1;
  }
  return { ...phases, right };
}

test.each(['buffered', 'outbox'] as const)(
  'I6, %s: recalculations of a target under constant writes are exact, at the first try, and slow no write down',
  async (mode) => {
    await start(mode);
    const meter = new Meter();
    // What this process was held up by itself, or by a busy machine, is not the doing of a lock.
    const stalls = monitorEventLoopDelay();
    stalls.enable();
    const { right, ...phases } = await runRounds().finally(() => meter.close());
    const { scripts } = meter.take();
    const [leases, finalizes] = ['acquire-lease', 'finalize'].map(
      (name) => scripts.filter((one) => one === name).length,
    );
    stalls.disable();
    const stall = Math.round(stalls.max / 1e6);
    const [before, counting, during] = [phases.before, phases.counting, phases.during].map(latencyOf);
    const figures = { right, leases, finalizes, before, counting, during, stall };
    tell(`recalculation under ${WRITES_PER_SECOND} writes/s, ${mode}: ${JSON.stringify(figures)}`);
    expect(right).toBe(ROUNDS);
    expect(finalizes).toBe(ROUNDS * IN_A_ROW);
    expect(during?.writes).toBeGreaterThan(0);
    const keepsUp = (before?.p99 ?? 0) < SATURATED;
    if (!keepsUp) tell('this machine does not keep up with so many writes: set LOAD_WRITES lower to compare them');
    const slower = keepsUp ? SLOWER : Infinity;
    for (const part of ['p50', 'p99'] as const) {
      const usual = Math.max(before?.[part] ?? 0, counting?.[part] ?? 0);
      expect(during?.[part]).toBeLessThanOrEqual(usual + slower);
    }
  },
  240_000,
);
