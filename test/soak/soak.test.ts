import { setTimeout as delay } from 'node:timers/promises';

import type { RecountReport } from 'typeorm-counter-cache';

import { Crew } from '../faults/load/crew';
import { tell } from '../faults/load/form';
import { RunJournal } from '../faults/load/journal';
import { Club, LEAGUE, Team, wrongTargets } from '../faults/load/league';
import { type OwnServers, startOwnServers } from '../faults/load/servers';
import { type Internals, openInternals } from '../integration/internals';
import { Random } from '../integration/oracle/random';
import { waitingRows } from '../integration/outbox/outbox';
import { keysOf } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { type BadRow, chooseBadRows, refuse, slowDown } from './bad-rows';
import { Chaos } from './chaos';
import { growth, type Heaps, measure, megabytes } from './memory';
import { Reports } from './report';
import { SOAK, SOAK_OPTIONS } from './settings';

/** How long a process may take to end when it is told to, ms. */
const STOPPING = 45_000;

/** How long processes may take to start, all at once, ms. */
const STARTING = 120_000;

/** Nothing takes longer, ms: whatever hangs, the processes end. */
const DEADLINE = SOAK.seconds * 1_000 + SOAK.quiet + 2 * STOPPING + STARTING + 120_000;

const random = new Random(SOAK.seed);
const badRows = chooseBadRows(random);
const reports = new Reports();

let servers: OwnServers;
let fixture: Fixture;
let internals: Internals;
let journal: RunJournal;
let crew: Crew;
let watchdog: NodeJS.Timeout;

beforeAll(async () => {
  servers = await startOwnServers();
  fixture = await setup({ entities: LEAGUE, counters: SOAK_OPTIONS });
  internals = await openInternals(fixture.dataSource, SOAK_OPTIONS);
  const { manager } = fixture.dataSource;
  for (const target of [Team, Club])
    await manager.insert(
      target,
      Array.from({ length: SOAK.targets }, (_, i) => ({ name: String(i) })),
    );
  await refuse(fixture.dataSource, badRows);
  await slowDown(fixture.dataSource);
  journal = new RunJournal();
  const { databaseUrl } = fixture;
  crew = new Crew({
    journal,
    databaseUrl,
    seed: SOAK.seed,
    program: '../../soak/soak-program.ts',
    flags: ['--expose-gc'],
    onMessage: (name, message) => reports.add(name, message),
  });
  watchdog = setTimeout(() => void crew.killAll(), DEADLINE);
  watchdog.unref();
}, 120_000);

afterAll(async () => {
  clearTimeout(watchdog);
  await crew.killAll();
  await internals.close();
  await within(30_000, fixture.close({ leakCheck: false }));
  await servers.stop();
}, 120_000);

/** What a promise gives, or `null` when that takes too long, or fails. */
async function within<T>(limit: number, promise: Promise<T>): Promise<T | null> {
  const abort = new AbortController();
  const late = delay(limit, null, { signal: abort.signal }).catch(() => null);
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    tell(`soak: ${String(error)}`);
    return null;
  } finally {
    abort.abort();
  }
}

const isBad = (entity: string, id: number | string): boolean =>
  badRows.some((row) => row.entity.toLowerCase() === entity.toLowerCase() && row.id === Number(id));

/** What keeps the installation from being quiet. */
interface Left {
  /** Good targets whose columns are not what SQL counts. */
  readonly wrong: readonly unknown[];
  /** Bad targets that nobody names, of which something is missing. */
  readonly unlisted: readonly BadRow[];
  /** Good targets that are named. */
  readonly accused: readonly unknown[];
  readonly waiting: Readonly<Record<'dirty' | 'batches' | 'intents' | 'due' | 'outbox', number>>;
}

async function whatIsLeft(): Promise<Left> {
  const { dirty, batches, intents, failed } = await fixture.counters.status();
  const wrong = (await wrongTargets(fixture.dataSource)) as { readonly kind: string; readonly id: number }[];
  const lacking = badRows.filter(({ entity, id }) =>
    wrong.some((row) => row.kind === entity.toLowerCase() && row.id === id),
  );
  return {
    wrong: wrong.filter(({ kind, id }) => !isBad(kind, id)),
    unlisted: lacking.filter(({ entity, id }) => !failed.some((row) => row.entity === entity && Number(row.id) === id)),
    accused: failed.filter(({ entity, id }) => !isBad(entity, id)),
    waiting: { dirty, batches, intents, due: await dueRecounts(), outbox: await unrefusedRows() },
  };
}

/** Recounts that are asked for by now. */
async function dueRecounts(): Promise<number> {
  const { redis, installation } = internals;
  const keys = await keysOf(redis, `{cc:${installation}:*}:*:recalc`);
  const counts = await Promise.all(keys.map((key) => redis.zcount(key, '-inf', Date.now())));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function unrefusedRows(): Promise<number> {
  const sql = `SELECT count(*)::int AS n FROM counter_cache_outbox o WHERE applied_at IS NULL AND failed IS NULL
    AND NOT EXISTS (SELECT FROM counter_cache_outbox f WHERE f.target = o.target AND f.failed IS NOT NULL)`;
  const rows: { n: number }[] = await fixture.dataSource.query(sql);
  return rows[0]?.n ?? (await waitingRows(fixture));
}

function isQuiet({ wrong, unlisted, waiting }: Left): boolean {
  return wrong.length + unlisted.length + Object.values(waiting).reduce((sum, count) => sum + count, 0) === 0;
}

/** Waits until nothing is left, or time is up; returns what is left then. */
async function untilQuiet(): Promise<Left> {
  const end = performance.now() + SOAK.quiet;
  for (;;) {
    const left = await within(20_000, whatIsLeft());
    if (left !== null && isQuiet(left)) return left;
    if (performance.now() > end) {
      if (left === null) throw new Error(`the servers did not answer within ${SOAK.quiet} ms`);
      return left;
    }
    await delay(250);
  }
}

interface Results {
  readonly endings: readonly string[];
  readonly left: Left;
  readonly verified: RecountReport | null;
  readonly before: Heaps;
  readonly loaded: Heaps;
  readonly after: Heaps;
  readonly figures: Readonly<Record<string, unknown>>;
}

/** All writers have started, and committed something. */
function everybodyWrites(): boolean {
  return reports.committers().length >= SOAK.writers;
}

/** The load, then quiet. */
async function soak(): Promise<Results> {
  const secondsSince = (since: number): number => Math.round((performance.now() - since) / 1_000);
  for (let i = 0; i < SOAK.writers; i++) crew.add('writer');
  for (let i = 0; i < SOAK.workers; i++) crew.add('worker');
  const elders = [...crew.places('writer').slice(0, 2), ...crew.places('worker').slice(0, 1)];
  await until(() => everybodyWrites(), STARTING, 100);
  const started = performance.now();
  let isOver = false;
  const chaos = new Chaos({ crew, servers, random, folder: journal.folder, elders });
  const happening = chaos.run(() => isOver);
  await delay(SOAK.warmUp * 1_000);
  const before = await measure(crew, reports, elders);
  await delay(Math.max(0, SOAK.seconds * 1_000 - (performance.now() - started)));
  isOver = true;
  await happening;
  const loaded = await measure(crew, reports, elders);
  const loadedFor = secondsSince(started);
  const endings = await crew.stop('writer', STOPPING);
  const since = performance.now();
  const left = await untilQuiet();
  const quietAfter = secondsSince(since);
  const after = await measure(crew, reports, elders.slice(2));
  const verified = await within(30_000, fixture.counters.verify());
  endings.push(...(await crew.stop('worker', STOPPING)));
  const figures = {
    seed: SOAK.seed,
    'load, s': loadedFor,
    'quiet after, s': quietAfter,
    kills: crew.kills,
    ...chaos.counts,
  };
  return { endings, left, verified, before, loaded, after, figures };
}

function table({ endings, left, verified, before, loaded, after, figures }: Results): string {
  const work = reports.sum('outcomes');
  const total = Object.values(work).reduce((sum, count) => sum + count, 0);
  const rows: Record<string, unknown> = {
    ...figures,
    'pieces of work': total,
    ...work,
    ...prefixed('odd error', reports.sum('odd')),
    ...prefixed('event', reports.sum('events')),
    ...driftsBySort(),
    'bad rows': badRows.map(({ entity, id, errcode }) => `${entity} ${id} (${errcode})`).join(', '),
    'bad rows not listed': JSON.stringify(left.unlisted),
    'good rows listed': JSON.stringify(left.accused),
    'good rows wrong': left.wrong.length,
    waiting: JSON.stringify(left.waiting),
    'verify()': verified === null ? 'no answer' : JSON.stringify({ ...verified, fixed: verified.fixed.length }),
    'heap after warm-up': megabytes(before),
    'heap under load at the end': megabytes(loaded),
    'heap when quiet': megabytes(after),
    crashes: crew.crashes.join(', ') || 'none',
    endings: endings.join(' '),
  };
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  return Object.entries(rows)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${String(value)}`)
    .join('\n');
}

/**
 * Corrections that recounts reported: of targets whose deltas wait in Redis, and of those whose deltas wait in SQL. A
 * transaction whose end nobody knows is among them, whether its column was wrong or not.
 */
function driftsBySort(): Record<string, number> {
  const of = (entity: string): number => journal.count(new RegExp(` drift .*"entity":"${entity}"`));
  return {
    'recounts that corrected a Team (buffered)': of('Team'),
    'recounts that corrected a Club (outbox)': of('Club'),
  };
}

function prefixed(prefix: string, counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix}: ${name}`, count]));
}

test(
  'I1, I3, I11: kills, restarts, refused rows and statements that time out: good rows are right, bad ones are named, nothing grows',
  async () => {
    tell(`soak: SOAK_SEED=${SOAK.seed} SOAK_SECONDS=${SOAK.seconds} npm run test:soak, journal in ${journal.folder}`);
    const results = await soak();
    tell(`soak:\n${table(results)}`);
    const { left, verified, endings, before, loaded } = results;
    expect(left).toEqual({
      wrong: [],
      unlisted: [],
      accused: [],
      waiting: { dirty: 0, batches: 0, intents: 0, due: 0, outbox: 0 },
    });
    expect(verified?.fixed.filter(({ entity, id }) => !isBad(entity, id))).toEqual([]);
    expect(endings).toEqual(Array.from({ length: SOAK.writers + SOAK.workers }, () => '0'));
    expect({ odd: reports.sum('odd'), crashes: crew.crashes }).toEqual({ odd: {}, crashes: [] });
    const grown = Object.entries(growth(before, loaded)).filter(([, bytes]) => !(bytes < SOAK.growth));
    expect(grown).toEqual([]);
    expect(reports.sum('outcomes')['timed out'] ?? 0).toBeGreaterThanOrEqual(Math.min(1, Math.ceil(SOAK.timeouts)));
    if (process.env['SOAK_JOURNAL'] === undefined) journal.remove();
  },
  DEADLINE + 60_000,
);
