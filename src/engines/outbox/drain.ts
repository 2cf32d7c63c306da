import type { QueryRunner } from 'typeorm';

import type { WakeUp, ClaimScope, TargetDelta } from '../../model/pending';
import { type AppliedEntries, applyEntries, applyOrIsolate } from '../../dialects/postgres/apply/apply-entries';
import type { ApplyTable } from '../../dialects/postgres/apply/apply-table';
import { type LockOptions, lockWaiting, type WaitingEntry } from '../../dialects/postgres/outbox/lock-waiting';
import { endRows, parkRows, postponeRows } from '../../dialects/postgres/outbox/end-rows';
import { takeRepairs } from '../../dialects/postgres/outbox/take-repairs';
import { type WaitingShard, waitingShards } from '../../dialects/postgres/outbox/waiting-shards';
import { withConnection, withTransaction } from '../../dialects/postgres/query';
import { allocateBarrier } from '../../dialects/postgres/snapshot';
import type { TablePaths } from '../../dialects/postgres/installation/tables';
import type { JobContext } from '../context';
import { ownWakeUp } from '../../model/own-wake-up';
import { addReports, emitApplied, NOTHING, type ReconcileReport, reportUnknown } from '../buffered/reconcile';

/** Applies what waits in the outbox, of one shard or of all, and asks for the repairs that are noted there. */
export async function drain(context: JobContext, scope: ClaimScope, shard: number | null): Promise<ReconcileReport> {
  const waiting = await lookFor(context, scope, shard);
  const report = await applyWaiting(context, scope, waiting);
  await handOn(context, scope, waiting);
  await requestRepairs(context, scope, waiting);
  return report;
}

/** The wake-up that fired is used up: what this process does not know needs another. */
async function handOn(context: JobContext, scope: ClaimScope, waiting: readonly WaitingShard[]): Promise<void> {
  const wakeUps: WakeUp[] = [];
  for (const { shard, others } of waiting) {
    if (others === null) continue;
    reportUnknown(context, others.tableIds);
    if (scope.select === 'due') wakeUps.push(context.handOver(shard, others.overdue));
  }
  await context.schedule(wakeUps);
}

/** Applies what is due in the outbox. Needs nothing but SQL. */
export async function drainDue(context: JobContext): Promise<ReconcileReport> {
  const scope = { select: 'due' } as const;
  return applyWaiting(context, scope, await lookFor(context, scope, null));
}

/** Asks for the repairs that are noted in the outbox. */
export async function repairDue(context: JobContext): Promise<void> {
  const scope = { select: 'due' } as const;
  await requestRepairs(context, scope, await lookFor(context, scope, null));
}

/** One statement, and no transaction, when nothing waits. */
function lookFor(
  { dataSource, tables, definitions }: JobContext,
  scope: ClaimScope,
  shard: number | null,
): Promise<readonly WaitingShard[]> {
  return withConnection(dataSource, (runner) => waitingShards(runner, tables, definitions, scope, shard));
}

async function applyWaiting(
  context: JobContext,
  scope: ClaimScope,
  waiting: readonly WaitingShard[],
): Promise<ReconcileReport> {
  const left = waiting.reduce((sum, { others }) => sum + (others?.targets ?? 0), 0);
  let report: ReconcileReport = { ...NOTHING, unapplied: left };
  const failures: unknown[] = [];
  for (const { shard, others, hasRefused } of waiting.filter(({ amounts }) => amounts)) {
    if (context.isStopping()) break;
    try {
      report = addReports(report, await drainShard(context, { shard, scope, findOthers: others !== null, hasRefused }));
    } catch (error) {
      // What fails in one shard must not keep the others (I4).
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return report;
}

async function drainShard(context: JobContext, of: Omit<LockOptions, 'limit'>): Promise<ReconcileReport> {
  const { shard } = of;
  let report = NOTHING;
  let { hasRefused } = of;
  for (;;) {
    const { dataSource, options } = context;
    const drained = await applyOrIsolate((applyTable) =>
      withTransaction(dataSource, 'READ COMMITTED', (runner) =>
        drainOnce(context, runner, { ...of, hasRefused, limit: options.batchSize }, applyTable),
      ),
    );
    if (drained.entries.length === 0) return report;
    emitApplied(context, shard, drained);
    hasRefused ||= drained.unapplied.some((row) => 'failed' in row);
    // Not awaited: what is left here needs no Redis.
    void scheduleRetries(context, shard, drained);
    await scheduleRecalculations(context, shard, doneOf(drained));
    const settled = reportOf(drained);
    report = addReports(report, settled);
    // Rows that are put off still wait: a scope that does not ask for due ones would take them for ever.
    if (!drained.more || doneOf(drained).length === 0 || context.isStopping()) return report;
  }
}

interface Drained extends AppliedEntries {
  readonly entries: readonly WaitingEntry[];
  readonly more: boolean;
}

/** Exactly once (I3), since the rows go, or are marked, in the transaction that changes the columns. */
async function drainOnce(
  { tables, definitions, options, events }: JobContext,
  runner: QueryRunner,
  lock: LockOptions,
  applyTable: ApplyTable,
): Promise<Drained> {
  const { entries, more } = await lockWaiting(runner, tables, definitions, lock);
  const changing = entries.filter(({ amounts, touches }) => amounts.size + touches.size > 0);
  const applied = await applyEntries(runner, definitions, changing, applyTable, events.has('reconciled'));
  const drained = { entries, more, ...applied };
  const done = doneOf(drained).flatMap(({ ids }) => ids);
  if (done.length > 0) await endRows(runner, tables, done, options.outboxRetention > 0);
  await putOff(runner, tables, drained);
  return drained;
}

async function putOff(runner: QueryRunner, tables: TablePaths, { entries, unapplied }: Drained): Promise<void> {
  const ids = new Map(entries.map((entry) => [entry.target, entry.ids]));
  const backoffs = new Map<number, string[]>();
  const reasons = new Map<string, string[]>();
  for (const row of unapplied) {
    const own = ids.get(row.target) ?? [];
    if ('failed' in row) note(reasons, row.failed, own);
    else note(backoffs, row.backoff, own);
  }
  for (const [reason, rows] of reasons) await parkRows(runner, tables, rows, reason);
  for (const [backoff, rows] of backoffs) await postponeRows(runner, tables, rows, backoff);
}

function note<K>(groups: Map<K, string[]>, key: K, rows: readonly string[]): void {
  const group = groups.get(key) ?? [];
  groups.set(key, group);
  for (const row of rows) group.push(row);
}

/** Rows that were put off would wait for a sweep otherwise. */
async function scheduleRetries(
  { schedule, options }: JobContext,
  shard: number,
  { unapplied }: Drained,
): Promise<void> {
  const backoffs = new Set(unapplied.flatMap((row) => ('failed' in row ? [] : [row.backoff])));
  await schedule([...backoffs].map((backoff) => ownWakeUp('reconcile', shard, backoff, options.window)));
}

function doneOf({ entries, unapplied }: Drained): WaitingEntry[] {
  const left = new Set(unapplied.map(({ target }) => target));
  return entries.filter(({ target }) => !left.has(target));
}

/** Targets of which more waits for others are not done, and are counted once, among those. */
function reportOf(drained: Drained): ReconcileReport {
  const { entries, unapplied, updates } = drained;
  const isCounted = new Set(entries.filter(({ hasOthers }) => hasOthers).map(({ target }) => target));
  const targets = doneOf(drained).filter(({ hasOthers }) => !hasOthers).length;
  return { batches: 1, targets, unapplied: unapplied.filter(({ target }) => !isCounted.has(target)).length, updates };
}

/** Best effort: without it a wrong column stays wrong until the next write asks again. */
async function scheduleRecalculations(
  { buffer, schedule }: JobContext,
  shard: number,
  entries: readonly WaitingEntry[],
): Promise<void> {
  const deltas = entries.filter(({ recalculateIn }) => recalculateIn !== null).map(emptyDelta);
  if (deltas.length === 0) return;
  const wakeUps = await buffer.add(shard, { id: 'outbox', deltas }).catch(() => []);
  await schedule(wakeUps);
}

function emptyDelta({ target, recalculateIn }: WaitingEntry): TargetDelta {
  return {
    target,
    amounts: new Map(),
    touches: [],
    wait: 0,
    flushAt: 0,
    recalculateIn,
    replaced: false,
    repair: false,
  };
}

async function requestRepairs(context: JobContext, scope: ClaimScope, waiting: readonly WaitingShard[]): Promise<void> {
  for (const { shard } of waiting.filter(({ repairs }) => repairs)) {
    while (!context.isStopping() && (await requestSome(context, shard, scope)) >= context.options.batchSize);
  }
}

/** The request goes out before the rows are gone: a process that dies in between leaves them, and it is made again. */
function requestSome({ dataSource, tables, buffer, options, schedule }: JobContext, shard: number, scope: ClaimScope) {
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const targets = await takeRepairs(runner, tables, shard, scope, options.batchSize);
    if (targets.length === 0) return 0;
    // Allocated after the rows were seen: all that was open when they were committed lies below it.
    const barrier = await allocateBarrier(runner);
    await schedule(await buffer.requestRepair(shard, [...new Set(targets)], barrier));
    return targets.length;
  });
}
