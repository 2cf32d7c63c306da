import { setTimeout as delay } from 'node:timers/promises';

import { byShard, forEachShard } from '../model/shard';
import type { CounterColumn, Definitions, TargetTable } from '../model/definition';
import type { Drift, FailedTarget } from '../events';
import { isAboutRows, reasonOf } from '../dialects/postgres/apply/divide';
import { keylessTarget } from '../model/target';
import { mayLackKey } from '../dialects/postgres/counting/keyless-rows';
import { listTargets, type TargetPage } from '../dialects/postgres/counting/list-targets';
import { refusedTargets } from '../dialects/postgres/outbox/refused-targets';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import { describeTarget, type JobContext } from '../engines/context';
import { drain } from '../engines/outbox/drain';
import { bringEpochsTogether, failLost } from './lost-shards';
import { reconcile } from '../engines/buffered/reconcile';
import { type Cursor, decodeCursor, encodeCursor, type RecountFilter, selectTables } from './recount-filter';
import { type Recalculated, recalculateIsolating, type RecalculateOptions, statementSize } from './recount-targets';
import { idOf } from '../engines/targets';

/** What a recount found. */
export interface RecountReport {
  /** Targets compared. */
  readonly checked: number;
  /** The first wrong columns found, at most 1,000. */
  readonly fixed: readonly Drift[];
  /** All wrong columns found. */
  readonly fixedCount: number;
  /** Targets that never held still: claimed, or behind a long transaction, until time ran out. */
  readonly unsettled: readonly { readonly entity: string; readonly id: string }[];
  /**
   * Targets for which a counter cannot be recounted, with its name; and those whose row the database refuses to change,
   * without: what these lack is parked until `retryFailed`, and `verify`, which applies nothing, lists none of them. At most
   * 1,000.
   */
  readonly failed: readonly FailedTarget[];
  /** Continues this run; `null` when it is complete. */
  readonly cursor: string | null;
}

/** Statements' worth of targets per step, where the filter does not say: corrections are applied per step and shard. */
const STATEMENTS = 5;

/** Shards whose corrections are applied at once: the database writes their commits to disk together. */
const APPLIED_AT_ONCE = 4;

/** Drifts, and failed targets, listed in a report. */
const LISTED = 1_000;

/** In the place of an id: all rows of a table. */
const ALL_ROWS = '*';

/** Milliseconds for which a refused target is tried again. */
const PATIENCE = 30_000;

/** Recounts many targets in steps, in key order per target table; with `dry` it only compares. */
export async function recountRun(context: JobContext, filter: RecountFilter, dry: boolean): Promise<RecountReport> {
  const targetTables = selectTables(context, filter);
  const names = filter.counter === undefined ? null : new Set([filter.counter].flat());
  const columns = (targetTable: TargetTable): CounterColumn[] =>
    [...targetTable.columns.values()].filter(
      (column) => names === null || column.counters.some(({ name }) => names.has(name)),
    );
  const cursor = filter.cursor === undefined ? null : decodeCursor(filter.cursor, targetTables);
  const fixed: Drift[] = [];
  const unsettled: { entity: string; id: string }[] = [];
  const failed: FailedTarget[] = [];
  let checked = 0;
  let fixedCount = 0;
  let position: string | null = filter.cursor ?? null;
  for await (const step of steps(context, targetTables, filter, columns, cursor)) {
    if (step.failed !== undefined) failed.push(step.failed);
    const results = await recountStep(context, step.targets, { columns, consume: false, dry, where: filter.where });
    const drifts = results.flatMap((result) => result.drifts);
    checked += results.filter(({ outcome }) => outcome === 'done').length;
    unsettled.push(...results.filter(isUnsettled).map(({ target }) => describeTarget(context.definitions, target)));
    const unapplied = dry || failed.length >= LISTED ? [] : await failedAmong(context, unappliedOf(results));
    failed.push(...[...failedTargets(context.definitions, results), ...unapplied].slice(0, LISTED - failed.length));
    fixedCount += drifts.length;
    fixed.push(...drifts.slice(0, LISTED - fixed.length));
    position = encodeCursor(step.cursor);
    filter.onProgress?.({ checked, fixedCount, cursor: position });
    if (filter.signal?.aborted === true) return { checked, fixed, fixedCount, unsettled, failed, cursor: position };
  }
  return { checked, fixed, fixedCount, unsettled, failed, cursor: null };
}

/** Recounts some targets, all columns, and applies what they lack; returns how many did not hold still. */
export async function recountTargets(context: JobContext, targets: readonly string[]): Promise<number> {
  const results = await recountStep(context, targets, {
    columns: (targetTable) => [...targetTable.columns.values()],
    consume: false,
    dry: false,
  });
  return results.filter(isUnsettled).length;
}

function isUnsettled({ outcome }: Recalculated): boolean {
  return outcome === 'refused' || outcome === 'lost';
}

async function recountStep(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const results = await recountPatiently(context, targets, options);
  if (options.dry) return results;
  announceResults(context, results);
  await applyDirty(context, results);
  const waiting = results.filter((result) => result.waiting).map(({ target }) => target);
  // After the corrections: with them the database may take what it refused before.
  if (waiting.length > 0) await drain(context, { select: 'targets', targets: waiting }, null);
  return results;
}

/** In a shard that lost its data nothing can be applied, corrections neither, before its epochs are brought together. */
async function applyDirty(context: JobContext, results: readonly Recalculated[]): Promise<void> {
  const dirty = results.filter((result) => result.dirty).map(({ target }) => target);
  const groups = [...byShard(dirty, (target) => target, context.buffer.shards)];
  const lost = new Set<number>();
  await applyGroups(context, groups, (shard) => lost.add(shard));
  if (lost.size === 0) return;
  await bringEpochsTogether(context);
  const again = groups.filter(([shard]) => lost.has(shard));
  await applyGroups(context, again, failLost);
}

function applyGroups(
  context: JobContext,
  groups: readonly (readonly [shard: number, targets: readonly string[]])[],
  onLost: (shard: number) => void,
): Promise<void> {
  return forEachShard(groups, APPLIED_AT_ONCE, async (shard, targets) => {
    await reconcile(context, shard, { select: 'targets', targets }, { onLost: () => onLost(shard) });
    await batchesGone(context, shard, targets);
  });
}

/** Targets of which something was left to apply. */
function unappliedOf(results: readonly Recalculated[]): string[] {
  return results.filter(({ dirty, waiting }) => dirty || waiting).map(({ target }) => target);
}

/** Those that are parked, in the buffer or in the outbox. */
async function failedAmong(context: JobContext, targets: readonly string[]): Promise<FailedTarget[]> {
  if (targets.length === 0) return [];
  const { buffer, dataSource, tables, definitions } = context;
  const wanted = new Set(targets);
  const shards = [...byShard(targets, (target) => target, buffer.shards).keys()];
  const statuses = await Promise.all(shards.map((shard) => buffer.status(shard)));
  const refused = await withConnection(dataSource, (runner) => refusedTargets(runner, tables, targets));
  const parked = [...statuses.flatMap(({ failed }) => failed).filter(({ target }) => wanted.has(target)), ...refused];
  const reasons = new Map(parked.map(({ target, reason }) => [target, reason]));
  return [...reasons].map(([target, reason]) => ({ ...describeTarget(definitions, target), reason }));
}

async function recountPatiently(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  const deadline = performance.now() + PATIENCE;
  const results = new Map<string, Recalculated>();
  let open: readonly string[] = targets;
  for (let pause = 5; open.length > 0; pause = Math.min(2 * pause, 250)) {
    for (const result of await recalculateIsolating(context, open, options)) results.set(result.target, result);
    open = open.filter((target) => ['refused', 'lost'].includes(results.get(target)?.outcome ?? 'done'));
    if (performance.now() > deadline) break;
    if (open.length > 0) await delay(pause);
  }
  return [...results.values()];
}

/** A worker may have claimed the corrections in a batch of its own; they are applied once that is acknowledged. */
async function batchesGone(context: JobContext, shard: number, targets: readonly string[]): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  for (let pause = 5; performance.now() < deadline; pause = Math.min(2 * pause, 250)) {
    const { held } = await context.buffer.read(shard, targets);
    if (held.every(({ claims }) => claims.length === 0)) return;
    await delay(pause);
  }
}

/** A table that cannot be listed keeps no other from being recounted; conditions that do not fit are the caller's affair. */
function unlisted({ where, from, to }: RecountFilter): (error: unknown) => { readonly error: unknown } {
  const isPlain = [where, from, to].every((condition) => condition === undefined);
  return (error) => {
    if (isPlain && isAboutRows(error)) return { error };
    throw error;
  };
}

interface Step {
  readonly targets: readonly string[];
  readonly cursor: Cursor;
  /** What keeps the rows of a table from being listed. */
  readonly failed?: FailedTarget;
}

/** Which rows of a table are asked for. */
function rangeOf({ where, from, to }: RecountFilter): Pick<TargetPage, 'where' | 'from' | 'to'> {
  return {
    where: where ?? null,
    from: from === undefined ? null : String(from),
    to: to === undefined ? null : String(to),
  };
}

async function* steps(
  context: JobContext,
  targetTables: readonly TargetTable[],
  filter: RecountFilter,
  columns: (targetTable: TargetTable) => CounterColumn[],
  start: Cursor | null,
): AsyncGenerator<Step> {
  const first = start === null ? 0 : targetTables.findIndex(({ id }) => id === start.tableId);
  for (const [i, targetTable] of targetTables.slice(first).entries()) {
    let after = i === 0 && start !== null && start.after.length > 0 ? start.after : null;
    if (filter.ids !== undefined) {
      const targets = [...new Set(filter.ids.map((id) => idOf(targetTable, id)))];
      yield { targets, cursor: { tableId: targetTable.id, after: [] } };
      continue;
    }
    const limit = filter.batchSize ?? STATEMENTS * statementSize(columns(targetTable));
    for (;;) {
      const page = { ...rangeOf(filter), after, limit };
      const rows = await withTransaction(context.dataSource, 'READ COMMITTED', (runner) =>
        listTargets(runner, targetTable, page),
      ).catch(unlisted(filter));
      if (!Array.isArray(rows)) {
        const failed = { entity: targetTable.metadata.name, id: ALL_ROWS, reason: reasonOf(rows.error) };
        yield { targets: [], cursor: { tableId: targetTable.id, after: after ?? [] }, failed };
        break;
      }
      const last = rows.at(-1);
      if (last === undefined) break;
      yield { targets: rows.map(({ target }) => target), cursor: { tableId: targetTable.id, after: last.key } };
      after = last.key;
      if (rows.length < limit) break;
    }
    // Rows without a key lie in no range of keys.
    if (mayLackKey(targetTable) && filter.from === undefined && filter.to === undefined)
      yield { targets: [keylessTarget(targetTable.id)], cursor: { tableId: targetTable.id, after: after ?? [] } };
  }
}

/** What could not be recounted, as reports name it. */
export function failedTargets(definitions: Definitions, results: readonly Recalculated[]): FailedTarget[] {
  return results.flatMap(({ target, uncountable = [] }) =>
    uncountable.map(({ counter, reason }) => ({
      ...describeTarget(definitions, target),
      ...(counter === null ? {} : { counter }),
      reason,
    })),
  );
}

/** Emits what a recalculation found, shard by shard. */
export function announceResults({ events, buffer }: JobContext, results: readonly Recalculated[]): void {
  for (const [shard, group] of byShard(results, ({ target }) => target, buffer.shards)) {
    const checked = group.filter(({ outcome }) => outcome === 'done').length;
    const drifts = group.flatMap((result) => result.drifts);
    if (drifts.length > 0) events.emit('drift', { drifts });
    if (checked > 0) events.emit('recalculated', { shard, checked, fixed: drifts.length });
  }
}
