import type { ClaimScope } from '../buffer/buffer';
import { byShard, shardOf } from '../buffer/shard';
import { outboxStatus } from '../sql/outbox/outbox-status';
import { retryRows } from '../sql/outbox/retry-rows';
import { withConnection } from '../sql/query';
import type { JobContext } from './context';
import { drain } from './drain';
import { ownAlarm } from './own-alarm';
import { addReports, reconcile, type ReconcileReport } from './reconcile';
import { selectTargets, type TargetFilter } from './targets';

/** Reconciles what is dirty, due or not; the outbox first, since that needs no Redis. */
export async function flush(context: JobContext, filter: TargetFilter): Promise<ReconcileReport> {
  const { kinds, targets } = selectTargets(context, filter);
  const waiting: ClaimScope =
    targets === null ? { select: 'dirty', kinds: kinds?.map(({ id }) => id) ?? null } : { select: 'targets', targets };
  const { shards } = context.buffer;
  const scopes: [number, ClaimScope][] =
    targets === null
      ? Array.from({ length: shards }, (_, shard) => [shard, waiting])
      : [...byShard(targets, (target) => target, shards)].map(([shard, group]) => [
          shard,
          { select: 'targets', targets: group },
        ]);
  let report = await drain(context, waiting, null);
  for (const [shard, scope] of scopes) report = addReports(report, await reconcile(context, shard, scope));
  return report;
}

/** Makes failed targets due again; returns how many. */
export async function retryFailed(context: JobContext, filter: TargetFilter): Promise<number> {
  const { kinds, targets } = selectTargets(context, filter);
  const wanted = (target: string) =>
    targets?.includes(target) ?? kinds?.some(({ id }) => target.startsWith(`${id}:`)) ?? true;
  const retried = new Set<string>();
  for (let shard = 0; shard < context.buffer.shards; shard++) {
    const { failed } = await context.buffer.status(shard);
    const named = failed.map(({ target }) => target).filter((target) => wanted(target));
    await context.schedule((await context.buffer.retryFailed(shard, named)).alarms);
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
  await schedule([...shards].map((shard) => ownAlarm('reconcile', shard, 0, options.window)));
  return retried;
}
