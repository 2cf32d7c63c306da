import type { QueryRunner } from 'typeorm';

import type { TargetTable } from '../model/definition';
import { byShard } from '../model/shard';
import { keylessTarget, tableIdOf } from '../model/target';
import { CounterCacheError } from '../errors';
import { isAboutRows, reasonOf } from '../dialects/postgres/apply/divide';
import { mayLackKey } from '../dialects/postgres/counting/keyless-rows';
import { listTargets } from '../dialects/postgres/counting/list-targets';
import {
  type Campaign,
  type CampaignCursor,
  hasCampaigns,
  lockCampaign,
  lockRebuilding,
  noteProgress,
  startIdleCampaigns,
} from '../dialects/postgres/installation/campaigns';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import { undoSavepoint } from '../dialects/postgres/savepoint';
import { allocateBarrier, readHorizon } from '../dialects/postgres/snapshot';
import { type JobContext, targetTableOf } from '../engines/context';
import { type Recalculated, UNKNOWN } from './recount-targets';
import { RecountLease } from './recount-lease';

const SAVEPOINT = 'counter_cache_page';

/** Targets listed per page. */
const PAGE = 5_000;

/** Finds the campaign to go on with. */
type Lock = (runner: QueryRunner) => Promise<Campaign | null>;

/** Requests the recount of every target of shards that lost their data. */
export async function rebuild(context: JobContext): Promise<void> {
  await runCampaigns(context, (runner) => lockRebuilding(runner, context.tables));
}

/** Requests the recount of every target of the target tables that have a campaign. */
export async function runTableCampaigns(context: JobContext): Promise<void> {
  const { dataSource, tables, definitions } = context;
  const tableIds = [...definitions.targetTables.keys()];
  if (!(await withConnection(dataSource, (runner) => hasCampaigns(runner, tables, tableIds)))) return;
  await runCampaigns(context, (runner) => lockCampaign(runner, tables, tableIds));
}

/** Page by page, each in a transaction with its progress: a campaign whose process dies is resumed by another. */
async function runCampaigns(context: JobContext, lock: Lock): Promise<void> {
  const step = () => withTransaction(context.dataSource, 'READ COMMITTED', (runner) => advance(context, runner, lock));
  while (!context.isStopping() && (await step()));
}

/** Requests one page of a campaign; false when there is none. */
async function advance(context: JobContext, runner: QueryRunner, lock: Lock): Promise<boolean> {
  const campaign = await lock(runner);
  if (campaign === null) return false;
  const { scope, cursor } = campaign;
  const targetTables = [...context.definitions.targetTables.values()]
    .filter(({ id }) => !('tableId' in scope) || id === scope.tableId)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const shards = 'shards' in scope ? scope.shards : Array.from({ length: context.buffer.shards }, (_, shard) => shard);
  const targetTable = targetTables.find(({ id }) => cursor.tableId === undefined || id >= cursor.tableId);
  let next: CampaignCursor | null = null;
  if (targetTable !== undefined) {
    const after = targetTable.id === cursor.tableId ? (cursor.after ?? null) : null;
    next = cursorAfter(targetTables, targetTable, await requestPage(context, runner, targetTable, after, shards));
  }
  await noteProgress(runner, context.tables, scope, next);
  return true;
}

function cursorAfter(
  targetTables: readonly TargetTable[],
  targetTable: TargetTable,
  after: readonly string[] | null,
): CampaignCursor | null {
  if (after !== null) return { tableId: targetTable.id, after };
  const next = targetTables[targetTables.indexOf(targetTable) + 1];
  return next === undefined ? null : { tableId: next.id };
}

/**
 * Requests the recount, behind a barrier, of one page of a target table's rows, as far as they lie in these shards.
 *
 * @returns the last key of the page; `null` when there are no more
 * @throws NotPermittedError when policies may have hidden targets
 */
export async function requestPage(
  context: Pick<JobContext, 'buffer' | 'schedule' | 'events'>,
  runner: QueryRunner,
  targetTable: TargetTable,
  after: readonly string[] | null,
  shards: Iterable<number>,
): Promise<readonly string[] | null> {
  const { buffer, schedule } = context;
  const rows = await listOrReport(context, runner, targetTable, after);
  const barrier = await allocateBarrier(runner);
  const isLast = rows.length < PAGE;
  const listed = rows.map(({ target }) => target);
  if (isLast && mayLackKey(targetTable)) listed.push(keylessTarget(targetTable.id));
  const groups = byShard(listed, (target) => target, buffer.shards);
  const requestIn = async (shard: number): Promise<void> => {
    const targets = groups.get(shard) ?? [];
    if (targets.length > 0) await schedule(await buffer.requestRepair(shard, targets, barrier));
  };
  // At once: the transaction that notes the page waits, and must not be idle for long.
  await Promise.all(Array.from(shards, requestIn));
  return isLast ? null : (rows.at(-1)?.key ?? null);
}

/** A table that cannot be listed is left out, and reported, so that all other tables have their recount (I11). */
async function listOrReport(
  { events }: Pick<JobContext, 'events'>,
  runner: QueryRunner,
  targetTable: TargetTable,
  after: readonly string[] | null,
): ReturnType<typeof listTargets> {
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  try {
    return await listTargets(runner, targetTable, { where: null, from: null, to: null, after, limit: PAGE });
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    await undoSavepoint(runner, SAVEPOINT);
    const { name: entity } = targetTable.metadata;
    const advice = 'Run counters.recalculate() for it once that is mended';
    const message = `rows of ${entity} cannot be listed, and are not recounted: ${reasonOf(error)}. ${advice}`;
    events.emit('error', new CounterCacheError('RECOUNT_FAILED', message, { entity }, { cause: error }));
    return [];
  }
}

/**
 * Answers requests for every target of a table, once their barriers have passed: starts a campaign for the table. One that is
 * under way has to end first.
 */
export async function startRequested(
  context: JobContext,
  requests: readonly string[],
): Promise<readonly Recalculated[]> {
  const { buffer, dataSource, tables, definitions, schedule } = context;
  const known = requests.filter((request) => targetTableOf(definitions, request) !== undefined);
  if (known.length === 0) return [];
  const horizon = await withConnection(dataSource, readHorizon);
  const lease = await RecountLease.acquire(buffer, known, { horizon, plain: false });
  const started = await lease.during(() =>
    withTransaction(dataSource, 'READ COMMITTED', (runner) =>
      startIdleCampaigns(runner, tables, lease.targets.map(tableIdOf)),
    ),
  );
  // As if the row were absent: nothing is pending for it, and the request is fulfilled.
  const recounts = lease.targets
    .filter((request) => started.has(tableIdOf(request)))
    .map((target) => ({ target, missing: null, rearmIn: null }));
  const snapshot = { xmin: horizon, xmax: horizon, inProgress: [] };
  const { outcomes } = await lease.finalize(snapshot, recounts, { consume: true, dry: false }, schedule);
  await lease.release();
  const done = new Set(outcomes.filter(({ standing }) => standing).map(({ target }) => target));
  return known.map((target) => ({ target, outcome: done.has(target) ? 'absent' : 'refused', drifts: [], ...UNKNOWN }));
}
