import type { ClaimScope } from '../buffer/buffer';
import { byShard } from '../buffer/shard';
import type { JobContext } from './context';
import { addReports, NOTHING, reconcile, type ReconcileReport } from './reconcile';
import { selectTargets, type TargetFilter } from './targets';

/** Reconciles what is dirty, due or not. */
export async function flush(context: JobContext, filter: TargetFilter): Promise<ReconcileReport> {
  const { kinds, targets } = selectTargets(context, filter);
  const { shards } = context.buffer;
  const scopes: [number, ClaimScope][] =
    targets === null
      ? Array.from({ length: shards }, (_, shard) => [
          shard,
          { select: 'dirty', kinds: kinds?.map(({ id }) => id) ?? null },
        ])
      : [...byShard(targets, (target) => target, shards)].map(([shard, group]) => [
          shard,
          { select: 'targets', targets: group },
        ]);
  let report = NOTHING;
  for (const [shard, scope] of scopes) report = addReports(report, await reconcile(context, shard, scope));
  return report;
}

/** Makes failed targets due again; returns how many. */
export async function retryFailed(context: JobContext, filter: TargetFilter): Promise<number> {
  const { kinds, targets } = selectTargets(context, filter);
  const wanted = (target: string) =>
    targets?.includes(target) ?? kinds?.some(({ id }) => target.startsWith(`${id}:`)) ?? true;
  let count = 0;
  for (let shard = 0; shard < context.buffer.shards; shard++) {
    const { failed } = await context.buffer.status(shard);
    const retried = await context.buffer.retryFailed(
      shard,
      failed.map(({ target }) => target).filter((target) => wanted(target)),
    );
    await context.schedule(retried.alarms);
    count += retried.count;
  }
  return count;
}
