import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { Finalized, Recount } from '../buffer/buffer';
import { formatDecimal } from '../counter/amount';
import type { CounterColumn, TargetKind } from '../counter/definition';
import { CounterCacheError } from '../errors';
import type { Drift } from '../events';
import { retryRows } from '../sql/outbox/retry-rows';
import { withConnection } from '../sql/query';
import { type Counted, type Counts, recount } from '../sql/recount';
import { readHorizon } from '../sql/snapshot';
import { describeTarget, type JobContext, kindOf, scheduledColumns } from './context';

/** Milliseconds that a watch holds claims back at most, should its recalculation die; renewed while it lives. */
const WATCH_TTL = 10_000;

/** Targets recounted in one statement. */
const TARGETS = 500;

/**
 * In `relaxed` nothing tells of a transaction that has committed and not yet sent its delta. Such deltas get this many
 * times `redisTimeout` to arrive between read and finalize: they are logged then, and known to be counted already.
 */
const SETTLE_TIMEOUTS = 2;

/** Milliseconds after which a refused recalculation is tried again. */
const REFUSED_DELAY = 500;

/** Milliseconds after which deltas of the outbox that were refused are tried again. */
const RETRY_DELAY = 1_000;

/** Milliseconds after which a recount that failed by itself (a `method` that throws, say) is tried again. */
const FAILED_DELAY = 60_000;

/** How the recalculation of one target ended. */
export interface Recalculated {
  readonly target: string;
  /** `refused`: claimed, watched by another, or behind a barrier. `lost`: the watch ended in between; nothing was changed. `failed`: it cannot be recounted. */
  readonly outcome: 'done' | 'absent' | 'refused' | 'lost' | 'failed';
  readonly drifts: readonly Drift[];
}

export interface RecalculateOptions {
  /** Columns of the kind to recount. */
  readonly columns: (kind: TargetKind) => readonly CounterColumn[];
  /** Whether the request for a recalculation is fulfilled by this. */
  readonly consume: boolean;
  /** Compare only, change nothing. */
  readonly dry: boolean;
  /** Leave targets alone that have to be healed meanwhile: those need every column recounted. */
  readonly plain?: boolean;
}

/**
 * Watch, read, finalize (docs/protocol.md): recounts targets of one shard and sets their pending delta to what is missing.
 * A crash anywhere leaves either nothing done or an ordinary pending delta (I6).
 */
export async function recalculateTargets(
  context: JobContext,
  shard: number,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const byKind = new Map<TargetKind, string[]>();
  for (const target of targets) {
    const kind = kindOf(context.definitions, target);
    if (kind !== undefined) byKind.set(kind, [...(byKind.get(kind) ?? []), target]);
  }
  const results: Recalculated[] = [];
  for (const [kind, members] of byKind) {
    for (let at = 0; at < members.length; at += TARGETS) {
      results.push(...(await recalculateKind(context, shard, kind, members.slice(at, at + TARGETS), options)));
    }
  }
  return results;
}

async function recalculateKind(
  context: JobContext,
  shard: number,
  kind: TargetKind,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const { buffer, dataSource, schedule } = context;
  const token = randomUUID();
  const horizon = await withConnection(dataSource, readHorizon);
  const outcomes = await buffer.watch(shard, token, targets, {
    ttl: WATCH_TTL,
    horizon,
    plain: options.plain ?? false,
  });
  const watched = targets.filter((_, i) => outcomes[i] === 'watching');
  const refused = targets.filter((_, i) => outcomes[i] !== 'watching').map(refusal);
  if (watched.length === 0) return refused;
  const columns = options.columns(kind);
  const counts = await readUnderWatch(context, shard, token, kind, columns, watched);
  const recounts = watched.map((target, i) => recountOf(context, kind, target, counts.counted[i] ?? null));
  const { outcomes: finalized, alarms } = await buffer.finalize(shard, token, counts.snapshot, recounts, options);
  await schedule(alarms);
  if (!options.dry) await retryRefused(context, counts.refused);
  return [...refused, ...finalized.map((one, i) => resultOf(context, columns, one, counts.counted[i] ?? null))];
}

/** Step 2: the read, however long it takes, while the watch is kept alive. */
async function readUnderWatch(
  context: JobContext,
  shard: number,
  token: string,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
): Promise<Counts> {
  const { buffer, dataSource, tables, options } = context;
  const renew = () => void buffer.renew(shard, token, targets, WATCH_TTL).catch(() => undefined);
  const renewal = setInterval(renew, WATCH_TTL / 4);
  try {
    const counts = await recount(dataSource, tables, kind, columns, targets);
    if (columns.some((column) => isRelaxed(context, column))) await delay(SETTLE_TIMEOUTS * options.redisTimeout);
    return counts;
  } catch (error) {
    await buffer.unwatch(shard, token, targets);
    throw error;
  } finally {
    clearInterval(renewal);
  }
}

function isRelaxed({ options }: JobContext, { counters }: CounterColumn): boolean {
  return counters.some(({ durability }) => (durability ?? options.durability) === 'relaxed');
}

/**
 * What the outbox holds of a target is part of what the recount compared. Where the database had refused it, the
 * correction of the column may be what was missing: tried again, once that is applied.
 */
async function retryRefused({ dataSource, tables }: JobContext, targets: readonly string[]): Promise<void> {
  if (targets.length === 0) return;
  await withConnection(dataSource, (runner) => retryRows(runner, tables, targets, RETRY_DELAY));
}

function refusal(target: string): Recalculated {
  return { target, outcome: 'refused', drifts: [] };
}

function recountOf({ options }: JobContext, kind: TargetKind, target: string, counted: Counted): Recount {
  const delays = [...kind.columns.values()]
    .flatMap(({ counters }) => counters)
    .flatMap(({ recalculation }) =>
      recalculation === false ? [] : [recalculation.delay ?? options.recalculationDelay],
    );
  const missing = counted && new Map([...counted].map(([name, { column, truth }]) => [name, truth - column]));
  return { target, missing, rearmIn: delays.length === 0 ? null : Math.min(...delays) };
}

function resultOf(
  { definitions }: JobContext,
  columns: readonly CounterColumn[],
  finalized: Finalized,
  counted: Counted,
): Recalculated {
  const { target, standing, known } = finalized;
  if (!standing) return { target, outcome: 'lost', drifts: [] };
  if (counted === null) return { target, outcome: 'absent', drifts: [] };
  const drifts = columns.flatMap((column): Drift[] => {
    const { column: value, truth } = counted.get(column.name) ?? { column: 0n, truth: 0n };
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
  return { target, outcome: 'done', drifts };
}

/** Recalculates what is due in a shard, until the worker stops; what is refused now is put off. */
export async function recalculateDue(context: JobContext, shard: number): Promise<number> {
  let checked = 0;
  const postponed = new Set<string>();
  for (;;) {
    if (context.isStopping()) return checked;
    const listed = await context.buffer.dueRecalculations(shard, TARGETS);
    // One round: what was put off here and is due again waits for its alarm, however many there are.
    const due = listed.filter(({ target }) => !postponed.has(target));
    if (due.length === 0) return checked;
    // Behind a barrier everything may be wrong; otherwise only what is scheduled is counted.
    const heal = due.filter((one) => one.heal).map(({ target }) => target);
    const plain = due.filter((one) => !one.heal).map(({ target }) => target);
    const results = [
      ...(await recalculateIsolating(context, shard, heal, {
        columns: (kind) => [...kind.columns.values()],
        consume: true,
        dry: false,
      })),
      ...(await recalculateIsolating(context, shard, plain, {
        columns: scheduledColumns,
        consume: true,
        dry: false,
        plain: true,
      })),
    ];
    checked += announceResults(context, shard, results);
    const done = targetsOf(results, ['done', 'absent']);
    const failed = targetsOf(results, ['failed']);
    const left = due.map(({ target }) => target).filter((target) => !done.has(target));
    for (const target of left) postponed.add(target);
    const refused = left.filter((target) => !failed.has(target));
    if (refused.length > 0) await context.schedule(await context.buffer.postpone(shard, refused, REFUSED_DELAY));
    if (failed.size > 0) await context.schedule(await context.buffer.postpone(shard, [...failed], FAILED_DELAY));
  }
}

function targetsOf(results: readonly Recalculated[], outcomes: readonly Recalculated['outcome'][]): Set<string> {
  return new Set(results.filter(({ outcome }) => outcomes.includes(outcome)).map(({ target }) => target));
}

/** Halves the targets until those whose recount fails stand alone: one must not keep a worker from the others (I4). */
async function recalculateIsolating(
  context: JobContext,
  shard: number,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  try {
    return await recalculateTargets(context, shard, targets, options);
  } catch (error) {
    // Without SQL or the buffer nothing could be told apart: this throws then, and the job is retried.
    await Promise.all([withConnection(context.dataSource, readHorizon), context.buffer.epoch(shard)]);
    const [only] = targets;
    if (targets.length === 1 && only !== undefined) return [cannotRecount(context, only, error)];
    const middle = Math.ceil(targets.length / 2);
    return [
      ...(await recalculateIsolating(context, shard, targets.slice(0, middle), options)),
      ...(await recalculateIsolating(context, shard, targets.slice(middle), options)),
    ];
  }
}

function cannotRecount({ events, definitions }: JobContext, target: string, cause: unknown): Recalculated {
  const { entity, id } = describeTarget(definitions, target);
  const reason = cause instanceof Error ? cause.message : String(cause);
  events.emit(
    'error',
    new CounterCacheError(
      'RECOUNT_FAILED',
      `${entity} ${id} cannot be recounted: ${reason}`,
      { entity, id },
      { cause },
    ),
  );
  return { target, outcome: 'failed', drifts: [] };
}

/** Emits what a recalculation found; returns how many targets were recounted. */
export function announceResults({ events }: JobContext, shard: number, results: readonly Recalculated[]): number {
  const checked = results.filter(({ outcome }) => outcome === 'done').length;
  const drifts = results.flatMap((result) => result.drifts);
  if (drifts.length > 0) events.emit('drift', { drifts });
  if (checked > 0) events.emit('recalculated', { shard, checked, fixed: drifts.length });
  return checked;
}
