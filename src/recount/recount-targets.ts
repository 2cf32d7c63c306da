import type { Finalized, Recount } from '../engines/buffered/buffer';
import { formatDecimal } from '../model/amount';
import type { CounterColumn, TargetTable } from '../model/definition';
import { isKeyless } from '../model/target';
import type { Drift } from '../events';
import { retryRows } from '../dialects/postgres/outbox/retry-rows';
import { withConnection } from '../dialects/postgres/query';
import { recount } from '../dialects/postgres/counting/recount';
import type { Counted, Counts, Uncountable } from '../dialects/postgres/counting/recount-by-sql';
import { readHorizon } from '../dialects/postgres/snapshot';
import { describeTarget, type JobContext, targetTableOf } from '../engines/context';
import { drain } from '../engines/outbox/drain';
import type { RecountFilter } from './recount-filter';
import { recalculateKeyless } from './recount-keyless';
import { RecountLease } from './recount-lease';
import { shardOf } from '../model/shard';
import { NotPermittedError } from '../errors';
import { reasonOf } from '../dialects/postgres/apply/divide';

/** Targets recounted in one statement. */
const TARGETS = 1_000;

/** The same, where sources are streamed through a function: fewer, since their claims wait meanwhile. */
const STREAMED_TARGETS = 500;

/** The same, where a `method` runs for each of them. */
const METHOD_TARGETS = 100;

/** Milliseconds after which deltas of the outbox that were refused are tried again. */
const RETRY_DELAY = 1_000;

/** Milliseconds after which a recount that failed by itself (a `method` that throws, say) is tried again. */
export const FAILED_DELAY = 60_000;

/** What may be left of a target that was not recounted. */
export const UNKNOWN = { dirty: true, waiting: true } as const;

/** How the recalculation of one target ended. */
export interface Recalculated {
  readonly target: string;
  /** `refused`: claimed, leased by another, or behind a barrier. `lost`: the lease ended in between; nothing was changed. `failed`: it, or a column of it, cannot be recounted. */
  readonly outcome: 'done' | 'absent' | 'refused' | 'lost' | 'failed';
  readonly drifts: readonly Drift[];
  /** Something is pending for it; also when that is not known. */
  readonly dirty: boolean;
  /** Something waits for it in the outbox; also when that is not known. */
  readonly waiting: boolean;
  /** What could not be recounted: all of it or, when `drifts` says something of other columns, a part. */
  readonly uncountable?: readonly Uncountable[];
  /** Its request is put off already. */
  readonly isPutOff?: boolean;
}

/** How targets are recalculated. */
export interface RecalculateOptions {
  /** Columns of the target table to recount. */
  readonly columns: (targetTable: TargetTable) => readonly CounterColumn[];
  /** Whether the request for a recalculation is fulfilled by this. */
  readonly consume: boolean;
  /** Compare only, change nothing. */
  readonly dry: boolean;
  /** Leave targets alone whose repair is requested meanwhile: those need every column recounted. */
  readonly plain?: boolean;
  /** Conditions on rows that have no key: all of them where there are none. */
  readonly where?: RecountFilter['where'];
}

/**
 * Lease, read, finalize (docs/protocol.md): recounts targets of any shards, and sets their pending delta to what is
 * missing. A crash anywhere leaves either nothing done or an ordinary pending delta (I6).
 */
export async function recalculateTargets(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const byTable = new Map<TargetTable, string[]>();
  for (const target of targets) {
    const targetTable = targetTableOf(context.definitions, target);
    if (targetTable === undefined) continue;
    const members = byTable.get(targetTable);
    if (members === undefined) byTable.set(targetTable, [target]);
    else members.push(target);
  }
  const results: Recalculated[] = [];
  for (const [targetTable, all] of byTable) {
    const members = all.filter((target) => !isKeyless(target));
    if (members.length < all.length) results.push(await recalculateKeyless(context, targetTable, options));
    const size = statementSize(options.columns(targetTable));
    for (let at = 0; at < members.length; at += size) {
      results.push(...(await recountTable(context, targetTable, members.slice(at, at + size), options)));
    }
  }
  return results;
}

/** How many targets are recounted in one statement. */
export function statementSize(columns: readonly CounterColumn[]): number {
  const counters = columns.flatMap((column) => column.counters);
  if (counters.some(({ method }) => method !== null)) return METHOD_TARGETS;
  return counters.every(({ sql }) => sql) ? TARGETS : STREAMED_TARGETS;
}

async function recountTable(
  context: JobContext,
  targetTable: TargetTable,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const { buffer, dataSource, tables } = context;
  const horizon = await withConnection(dataSource, readHorizon);
  const lease = await RecountLease.acquire(buffer, targets, { horizon, plain: options.plain ?? false });
  const leased = lease.targets;
  const refused = refusals(targets, leased);
  if (leased.length === 0) return refused;
  const columns = options.columns(targetTable);
  const counts = await lease.during(() => recount(dataSource, { tables, targetTable, columns, targets: leased }));
  const counted = new Map(leased.map((target, i) => [target, counts.counted[i] ?? null]));
  const early = options.dry
    ? []
    : leased.filter((target) => counted.get(target) === null && counts.waiting.has(target));
  await lease.release(early);
  const recounts = recountsOf(context, targetTable, without(counted, early));
  const { outcomes, dirty } = await finalizeCountable(context, lease, recounts, counts, options);
  if (!options.dry) await retryRefused(context, counts.refused);
  await drainAbsent(context, early);
  const results = recounts.map(({ target }) => {
    const left = { dirty: dirty.has(target), waiting: counts.waiting.has(target) };
    const finalized = outcomes.get(target);
    const uncountable = counts.uncountable.of(target);
    const isPutOff = options.consume && uncountable.length > 0;
    if (finalized === undefined)
      return { target, outcome: 'failed' as const, drifts: [], uncountable, isPutOff, ...UNKNOWN };
    const result = resultOf(context, columns, finalized, counted.get(target) ?? null, left);
    if (uncountable.length === 0 || result.outcome === 'lost') return result;
    return { ...result, outcome: 'failed' as const, uncountable, isPutOff };
  });
  return [...refused, ...refusals(early, []), ...results];
}

/**
 * What waits in the outbox for a row that is gone must not land on one that takes over its key: it is applied, to nothing,
 * before the recount is over.
 */
async function drainAbsent(context: JobContext, targets: readonly string[]): Promise<void> {
  if (targets.length > 0) await drain(context, { select: 'targets', targets }, null);
}

function without(counted: ReadonlyMap<string, Counted>, targets: readonly string[]): ReadonlyMap<string, Counted> {
  return new Map([...counted].filter(([target]) => !targets.includes(target)));
}

/**
 * Step 3. A target of which some columns could not be recounted keeps its request: the others are corrected all the same.
 * One of which nothing could is left as it is.
 */
async function finalizeCountable(
  { schedule }: JobContext,
  lease: RecountLease,
  recounts: readonly Recount[],
  { snapshot, uncountable }: Counts,
  options: RecalculateOptions,
): Promise<{ readonly outcomes: ReadonlyMap<string, Finalized>; readonly dirty: ReadonlySet<string> }> {
  const isWhole = ({ target }: Recount) => uncountable.of(target).length === 0;
  const whole = await lease.finalize(snapshot, recounts.filter(isWhole), options, schedule);
  const outcomes = new Map(whole.outcomes.map((outcome) => [outcome.target, outcome]));
  if (uncountable.isEmpty) return { outcomes, dirty: whole.dirty };
  const others = recounts.filter((one) => !isWhole(one));
  // While they are leased: a request that comes from now on is not put off with the one that failed.
  if (options.consume)
    await lease.postpone(
      others.map(({ target }) => target),
      FAILED_DELAY,
      schedule,
    );
  const partly = others.filter(({ missing }) => missing === null || missing.size > 0);
  const part = await lease.finalize(snapshot, partly, { ...options, consume: false }, schedule);
  for (const outcome of part.outcomes) outcomes.set(outcome.target, outcome);
  await lease.release(others.filter(({ missing }) => missing?.size === 0).map(({ target }) => target));
  return { outcomes, dirty: new Set([...whole.dirty, ...part.dirty]) };
}

/**
 * What the outbox holds of a target is part of what the recount compared. Where the database had refused it, the
 * correction of the column may be what was missing: tried again, once that is applied.
 */
async function retryRefused({ dataSource, tables }: JobContext, targets: readonly string[]): Promise<void> {
  if (targets.length === 0) return;
  await withConnection(dataSource, (runner) => retryRows(runner, tables, targets, RETRY_DELAY));
}

function refusals(targets: readonly string[], leased: readonly string[]): Recalculated[] {
  if (leased.length === targets.length) return [];
  const standing = new Set(leased);
  return targets
    .filter((target) => !standing.has(target))
    .map((target) => ({ target, outcome: 'refused', drifts: [], ...UNKNOWN }));
}

function recountsOf(
  { options }: JobContext,
  targetTable: TargetTable,
  counted: ReadonlyMap<string, Counted>,
): Recount[] {
  const delays = [...targetTable.columns.values()]
    .flatMap(({ counters }) => counters)
    .flatMap(({ recalculation }) =>
      recalculation === false ? [] : [recalculation.delay ?? options.recalculationDelay],
    );
  const rearmIn = delays.length === 0 ? null : Math.min(...delays);
  return Array.from(counted, ([target, columns]) => ({ target, missing: missingOf(columns), rearmIn }));
}

function missingOf(counted: Counted): Recount['missing'] {
  return counted && new Map([...counted].map(([name, { column, truth }]) => [name, truth - column]));
}

function resultOf(
  { definitions }: JobContext,
  columns: readonly CounterColumn[],
  { target, standing, known }: Finalized,
  counted: Counted,
  left: Pick<Recalculated, 'dirty' | 'waiting'>,
): Recalculated {
  if (!standing) return { target, outcome: 'lost', drifts: [], ...UNKNOWN };
  if (counted === null) return { target, outcome: 'absent', drifts: [], ...left };
  const drifts = columns.flatMap((column): Drift[] => {
    const values = counted.get(column.name);
    if (values === undefined) return [];
    const { column: value, truth } = values;
    const worth = value + (known.get(column.name) ?? 0n);
    if (worth === truth) return [];
    return [
      {
        ...describeTarget(definitions, target),
        column: column.property,
        counters: column.counters.map(({ name }) => name),
        wrong: formatDecimal(worth, column.scale),
        right: formatDecimal(truth, column.scale),
      },
    ];
  });
  return { target, outcome: 'done', drifts, ...left };
}

/**
 * The same as {@link recalculateTargets}, for every reason to fail: halves the targets until those whose recount fails stand
 * alone (I11).
 *
 * @throws NotPermittedError where policies may hide rows; what keeps all of them from being recounted: without SQL or the buffer nothing could be told apart
 */
export async function recalculateIsolating(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  try {
    return await recalculateTargets(context, targets, options);
  } catch (error) {
    // Of one target or of many: the same is hidden.
    if (error instanceof NotPermittedError) throw error;
    const [first = ''] = targets;
    const epoch = context.buffer.epoch(shardOf(first, context.buffer.shards));
    await Promise.all([withConnection(context.dataSource, readHorizon), epoch]);
    if (targets.length === 1) {
      const uncountable = [{ counter: null, reason: reasonOf(error) }];
      return [{ target: first, outcome: 'failed', drifts: [], uncountable, ...UNKNOWN }];
    }
    const middle = Math.ceil(targets.length / 2);
    return [
      ...(await recalculateIsolating(context, targets.slice(0, middle), options)),
      ...(await recalculateIsolating(context, targets.slice(middle), options)),
    ];
  }
}
