import { setTimeout as delay } from 'node:timers/promises';

import { untilIdle } from '../../integration/idle';
import { type Internals, openInternals } from '../../integration/internals';
import { Random } from '../../integration/oracle/random';
import { waitingRows } from '../../integration/outbox/outbox';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { Crew } from './crew';
import { full, tell } from './form';
import { note, RunJournal } from './journal';
import { Club, LEAGUE, Team, wrongTargets } from './league';
import { type OwnServers, startOwnServers } from './servers';
import { LOAD_OPTIONS } from './settings';

const DURATION = full(300_000, 4_000);
const KILL_EVERY = full(2_000, 1_000);
const REDIS_KILL_EVERY = full(15, 3);

const seed = Number(process.env['LOAD_SEED'] ?? Date.now() % 1_000_000);

let servers: OwnServers;
let fixture: Fixture;
let internals: Internals;
let journal: RunJournal;
let crew: Crew;

beforeAll(async () => {
  servers = await startOwnServers();
  fixture = await setup({ entities: LEAGUE, counters: LOAD_OPTIONS });
  internals = await openInternals(fixture.dataSource, LOAD_OPTIONS);
  for (const target of [Team, Club])
    await fixture.dataSource.manager.insert(
      target,
      Array.from({ length: 12 }, (_, i) => ({ name: String(i) })),
    );
  journal = new RunJournal();
  crew = new Crew({ journal, databaseUrl: fixture.databaseUrl, seed });
});
afterAll(async () => {
  await internals.close();
  await fixture.close();
  await servers.stop();
});

/** Until the end of the run, one death after the other. */
async function killAround(random: Random): Promise<number> {
  const end = performance.now() + DURATION;
  let redisKills = 0;
  for (let round = 1; performance.now() < end; round++) {
    await delay(KILL_EVERY);
    if (round % REDIS_KILL_EVERY === 0) {
      redisKills += 1;
      note(journal.folder, 'kills', 'redis');
      await servers.redis.kill();
      await delay(random.below(full(3_000, 500)));
      await servers.redis.restart({ keepData: true });
    } else await crew.replace(random.below(crew.size));
  }
  return redisKills;
}

/** Recounts everything again and again; while Redis is away that rejects. */
async function recalculateAllTheTime(isOver: () => boolean): Promise<{ done: number; rejected: number }> {
  const runs = { done: 0, rejected: 0 };
  while (!isOver()) {
    try {
      const { fixed } = await fixture.counters.recalculate();
      if (fixed.length > 0) note(journal.folder, 'recalculations', `drift ${JSON.stringify(fixed)}`);
      runs.done += 1;
    } catch (error) {
      note(journal.folder, 'recalculations', `rejected ${String(error)}`);
      runs.rejected += 1;
      await delay(50);
    }
  }
  return runs;
}

/** What the dead have left is swept, what was asked for is recounted, and everything is applied. */
async function untilQuiet(): Promise<void> {
  await until(async () => (await fixture.counters.status().catch(() => ({ intents: 1 }))).intents === 0, 60_000);
  await untilIdle(fixture, internals);
  await until(async () => (await waitingRows(fixture)) === 0);
}

/** The whole run; returns how the writers ended. */
async function run(): Promise<{ endings: string[]; figures: Record<string, unknown> }> {
  for (const role of ['writer', 'worker', 'writer', 'worker'] as const) crew.add(role);
  await until(() => journal.count(/ committed$/) > 0);
  let isOver = false;
  const recalculating = recalculateAllTheTime(() => isOver);
  const redisKills = await killAround(new Random(seed)).finally(() => (isOver = true));
  const recalculations = await recalculating;
  const endings = await crew.stop('writer');
  await untilQuiet();
  return { endings, figures: { kills: crew.kills, redisKills, recalculations, endings } };
}

const COUNTED = {
  committed: / committed$/,
  rolledBack: / rolled back$/,
  deadlocks: / deadlock$/,
  errors: / error /,
  drifts: / drift /,
  outboxDrifts: / drift .*"entity":"Club"/,
} as const;

function tellFigures(figures: Record<string, unknown>, started: number): void {
  const counts = Object.entries(COUNTED).map(([name, pattern]) => [name, journal.count(pattern)] as const);
  const seconds = Math.round((performance.now() - started) / 1_000);
  tell(`load with kills: ${JSON.stringify({ seed, seconds, ...figures, ...Object.fromEntries(counts) })}`);
}

test(
  'I1, I3: writers, workers and Redis are killed under load, and no count is wrong',
  async () => {
    const started = performance.now();
    try {
      const { endings, figures } = await run();
      tellFigures(figures, started);
      expect(await wrongTargets(fixture.dataSource)).toEqual([]);
      expect(endings).toEqual(['0', '0']);
      expect(journal.count(/ FAILED /)).toBe(0);
      expect(await fixture.counters.verify()).toMatchObject({ checked: 24, fixedCount: 0, unsettled: [] });
      journal.remove();
    } catch (error) {
      tell(`load with kills: seed ${seed}, journal in ${journal.folder}`);
      throw error;
    } finally {
      await crew.killAll();
    }
  },
  full(480_000, 60_000),
);
