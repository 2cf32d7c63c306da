import type { LeftForOthers } from './buffer';
import type { Batch, ClaimScope, Unapplied } from '../../model/pending';
import { tableIdOf } from '../../model/target';
import { CounterCacheError } from '../../errors';
import { applyBatch } from '../../dialects/postgres/apply/apply';
import { TablesEmptiedError } from '../../dialects/postgres/apply/ledger';
import type { AppliedEntries } from '../../dialects/postgres/apply/apply-entries';
import { hiddenRows } from '../../dialects/postgres/sight';
import { describeTarget, type JobContext } from '../context';
import { reportNotPermitted } from '../permitted';

/** What a reconcile did. */
export interface ReconcileReport {
  /** Batches applied. */
  readonly batches: number;
  /** Targets whose row was changed, or found gone. */
  readonly targets: number;
  /** Targets given back: locked, unknown here, or refused by the database. */
  readonly unapplied: number;
  /** UPDATE statements on target tables. */
  readonly updates: number;
}

/** The report of no work. */
export const NOTHING: ReconcileReport = { batches: 0, targets: 0, unapplied: 0, updates: 0 };

/** The report of both. */
export function addReports(left: ReconcileReport, right: ReconcileReport): ReconcileReport {
  return {
    batches: left.batches + right.batches,
    targets: left.targets + right.targets,
    unapplied: left.unapplied + right.unapplied,
    updates: left.updates + right.updates,
  };
}

/** How a reconcile was asked for. */
export interface ReconcileOptions {
  /** The time of the wake-up that fired: when it fired early (another clock), it is set again. */
  readonly expected?: number;
  /** Called when the shard lost its data: nothing of it can be claimed before its epochs are brought together. */
  readonly onLost?: () => void;
}

/**
 * Claims, applies and acknowledges until nothing in scope is left that this process knows, or the worker stops.
 */
export async function reconcile(
  context: JobContext,
  shard: number,
  scope: ClaimScope,
  { expected, onLost }: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const { buffer, definitions, options } = context;
  let report = NOTHING;
  for (;;) {
    if (context.isStopping()) return report;
    const claim = await buffer.claim(shard, scope, options.batchSize, definitions.targetTables);
    if (claim.isLost === true) onLost?.();
    const settled = claim.batch === null ? SETTLED : await settle(context, claim.batch);
    report = addReports(report, exceptFor(settled, claim.left?.inBatch ?? []));
    // Rows given back are still dirty: a scope that does not ask for due ones would claim them for ever.
    if (claim.more && (settled.report.targets > 0 || settled.unapplied.length === 0)) continue;
    if (claim.left) await handOn(context, shard, scope, claim.left, claim.now);
    if (expected !== undefined && claim.next !== null && claim.next <= expected) {
      await context.schedule([{ kind: 'reconcile', shard, at: claim.next, delay: claim.next - claim.now }]);
    }
    return addReports(report, { ...NOTHING, unapplied: claim.left?.targets ?? 0 });
  }
}

interface Settled {
  readonly report: ReconcileReport;
  readonly unapplied: readonly Unapplied[];
}

const SETTLED: Settled = { report: NOTHING, unapplied: [] };

/** Targets of which a part is left for others are not done, and are counted once, among those. */
function exceptFor({ report, unapplied }: Settled, left: readonly string[]): ReconcileReport {
  const partly = new Set(left);
  const both = unapplied.filter(({ target }) => partly.has(target)).length;
  return { ...report, targets: report.targets - (partly.size - both), unapplied: report.unapplied - both };
}

/** The wake-up that fired is used up: what was left for processes that know it needs another. */
async function handOn(
  context: JobContext,
  shard: number,
  scope: ClaimScope,
  { tableIds, since, arePutOff }: LeftForOthers,
  now: number,
): Promise<void> {
  reportUnknown(context, tableIds);
  if (scope.select === 'due') await context.schedule([context.handOver(shard, arePutOff ? null : now - since)]);
}

/** Applies a batch and acknowledges it; a batch that was applied before is only acknowledged. */
export async function finishBatch(context: JobContext, batch: Batch): Promise<ReconcileReport> {
  return (await settle(context, batch)).report;
}

async function settle(context: JobContext, batch: Batch): Promise<Settled> {
  const { buffer, dataSource, tables, definitions, events } = context;
  const applied = await applyBatch(dataSource, tables, definitions, batch, events.has('reconciled')).catch(
    (error: unknown) => {
      if (error instanceof TablesEmptiedError) context.onEmptied?.();
      throw error;
    },
  );
  if (applied.status === 'fenced') await repairFenced(context, batch);
  const { unapplied } = applied;
  const { wakeUps } = await buffer.acknowledge(batch.shard, batch.id, unapplied);
  await context.schedule(wakeUps);
  if (applied.status !== 'applied')
    return { report: { ...NOTHING, unapplied: unapplied.length, updates: applied.updates }, unapplied };
  emitApplied(context, batch.shard, applied);
  const targets = batch.entries.length - unapplied.length;
  return { report: { batches: 1, targets, unapplied: unapplied.length, updates: applied.updates }, unapplied };
}

/** A fenced batch may have been applied or not, which is not known any more, so its targets are recounted. */
async function repairFenced({ buffer, schedule }: JobContext, batch: Batch): Promise<void> {
  const targets = batch.entries.map(({ target }) => target);
  await schedule(await buffer.requestRepair(batch.shard, targets, 0n));
}

/** Reports what was applied, refused or not known. */
export function emitApplied({ events, definitions }: JobContext, shard: number, applied: AppliedEntries): void {
  for (const row of applied.unapplied) {
    if ('failed' in row) events.emit('failed', { ...describeTarget(definitions, row.target), reason: row.failed });
  }
  for (const hidden of applied.hiddenBy) reportNotPermitted({ events }, hiddenRows(hidden));
  reportUnknown({ events }, new Set(applied.unknown.map(tableIdOf)));
  if (!events.has('reconciled')) return;
  const changes = applied.changes.map(({ target, column, before, after }) => ({
    ...describeTarget(definitions, target),
    column: column.property,
    before,
    after,
  }));
  events.emit('reconciled', { shard, changes, updates: applied.updates });
}

/** Reports, once per target table, that something is left for processes that know it. */
export function reportUnknown({ events }: Pick<JobContext, 'events'>, tableIds: Iterable<string>): void {
  for (const tableId of tableIds) events.reportOnce(`unknown ${tableId}`, unknownTable(tableId));
}

function unknownTable(tableId: string): CounterCacheError {
  const advice = 'They are kept for a worker that knows them: run one of the same release as the writers.';
  const message = `targets of ${tableId} have counter columns that this worker does not know. ${advice}`;
  return new CounterCacheError('STATE_MISMATCH', message, { tableId });
}
