import type { QueryRunner } from 'typeorm';

import { byShard } from '../buffer/shard';
import type { TargetKind } from '../counter/definition';
import { keylessTarget } from '../counter/target';
import { mayLackKey } from '../sql/keyless-rows';
import { listTargets } from '../sql/list-targets';
import { allocateBarrier } from '../sql/snapshot';
import type { JobContext } from './context';

/** Targets listed per page. */
const PAGE = 5_000;

/**
 * Requests the recalculation, behind a barrier, of one page of a kind's targets, as far as they lie in these shards.
 *
 * @returns the last key of the page; `null` when there are no more
 */
export async function requestPage(
  { buffer, schedule }: Pick<JobContext, 'buffer' | 'schedule'>,
  runner: QueryRunner,
  kind: TargetKind,
  after: readonly string[] | null,
  shards: Iterable<number>,
): Promise<readonly string[] | null> {
  const rows = await listTargets(runner, kind, { where: null, from: null, to: null, after, limit: PAGE });
  const barrier = await allocateBarrier(runner);
  const isLast = rows.length < PAGE;
  const listed = rows.map(({ target }) => target);
  if (isLast && mayLackKey(kind)) listed.push(keylessTarget(kind.id));
  const groups = byShard(listed, (target) => target, buffer.shards);
  const requestIn = async (shard: number): Promise<void> => {
    const targets = groups.get(shard) ?? [];
    if (targets.length > 0) await schedule(await buffer.request(shard, targets, { barrier, delay: 0 }));
  };
  // At once: the transaction that notes the page waits, and must not be idle for long.
  await Promise.all(Array.from(shards, requestIn));
  return isLast ? null : (rows.at(-1)?.key ?? null);
}
