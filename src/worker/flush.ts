import type { ClaimScope } from '../model/pending';
import { byShard, shardOf } from '../model/shard';
import { CounterCacheError } from '../errors';
import { outboxStatus } from '../dialects/postgres/outbox/outbox-status';
import { retryRows } from '../dialects/postgres/outbox/retry-rows';
import { withConnection } from '../dialects/postgres/query';
import type { JobContext } from '../engines/context';
import { drain } from '../engines/outbox/drain';
import { ownWakeUp } from '../model/own-wake-up';
import { addReports, reconcile, type ReconcileReport } from '../engines/buffered/reconcile';
import { bringEpochsTogether, failLost } from '../recount/lost-shards';
import { recountRun, recountTargets } from '../recount/recount-run';
import { selectTargets, type TargetFilter, type TargetSelection } from '../engines/targets';

/**
 * Reconciles what is dirty, due or not; the outbox first, since that needs no Redis. When shards lost their data, what they
 * held is recounted instead.
 *
 * @throws CounterCacheError `BUFFER_LOST` when that cannot be done now
 */
export async function flush(context: JobContext, filter: TargetFilter): Promise<ReconcileReport> {
  const selection = selectTargets(context, filter);
  const lost: number[] = [];
  const report = await flushOnce(context, selection, (shard) => lost.push(shard));
  if (lost.length === 0) return report;
  await bringEpochsTogether(context);
  await recountAll(context, filter, selection);
  return addReports(report, await flushOnce(context, selection, failLost));
}

async function flushOnce(
  context: JobContext,
  { targetTables, targets }: TargetSelection,
  onLost: (shard: number) => void,
): Promise<ReconcileReport> {
  const waiting: ClaimScope =
    targets === null
      ? { select: 'dirty', tableIds: targetTables?.map(({ id }) => id) ?? null }
      : { select: 'targets', targets };
  const { shards } = context.buffer;
  const scopes: [number, ClaimScope][] =
    targets === null
      ? Array.from({ length: shards }, (_, shard) => [shard, waiting])
      : [...byShard(targets, (target) => target, shards)].map(([shard, group]) => [
          shard,
          { select: 'targets', targets: group },
        ]);
  let report = await drain(context, waiting, null);
  for (const [shard, scope] of scopes)
    report = addReports(report, await reconcile(context, shard, scope, { onLost: () => onLost(shard) }));
  return report;
}

/** What the lost shards held is not known: every target that was asked for may lack something. */
async function recountAll(context: JobContext, filter: TargetFilter, { targets }: TargetSelection): Promise<void> {
  const unsettled =
    targets === null
      ? (await recountRun(context, { target: filter.target }, false)).unsettled.length
      : await recountTargets(context, targets);
  if (unsettled === 0) return;
  const found = `the buffer lost its data, and ${unsettled} targets could not be recounted yet`;
  const advice = 'Transactions that are open, or other recounts, are in the way: try again';
  throw new CounterCacheError('BUFFER_LOST', `${found}. ${advice}`, { unsettled });
}

/** Makes failed targets due again; returns how many. */
export async function retryFailed(context: JobContext, filter: TargetFilter): Promise<number> {
  const { targetTables, targets } = selectTargets(context, filter);
  const wanted = (target: string) =>
    targets?.includes(target) ?? targetTables?.some(({ id }) => target.startsWith(`${id}:`)) ?? true;
  const retried = new Set<string>();
  for (let shard = 0; shard < context.buffer.shards; shard++) {
    const { failed } = await context.buffer.status(shard);
    const named = failed.map(({ target }) => target).filter((target) => wanted(target));
    await context.schedule((await context.buffer.retryFailed(shard, named)).wakeUps);
    for (const target of named) retried.add(target);
  }
  for (const target of await retryOutbox(context, wanted)) retried.add(target);
  return retried.size;
}

async function retryOutbox(
  { dataSource, tables, buffer, options, schedule }: JobContext,
  wanted: (target: string) => boolean,
): Promise<readonly string[]> {
  const retried = await withConnection(dataSource, async (runner) => {
    const { failed } = await outboxStatus(runner, tables);
    const named = failed.map(({ target }) => target).filter((target) => wanted(target));
    return named.length === 0 ? [] : retryRows(runner, tables, named, 0);
  });
  const shards = new Set(retried.map((target) => shardOf(target, buffer.shards)));
  await schedule([...shards].map((shard) => ownWakeUp('reconcile', shard, 0, options.window)));
  return retried;
}
