import type { QueryRunner } from 'typeorm';

import { byShard } from '../model/shard';
import type { TargetKind } from '../model/definition';
import { CounterCacheError } from '../errors';
import { isAboutRows, reasonOf } from '../dialects/postgres/apply/divide';
import { keylessTarget } from '../model/target';
import { mayLackKey } from '../dialects/postgres/counting/keyless-rows';
import { listTargets } from '../dialects/postgres/counting/list-targets';
import { undoSavepoint } from '../dialects/postgres/savepoint';
import { allocateBarrier } from '../dialects/postgres/snapshot';
import type { JobContext } from '../engines/context';

const SAVEPOINT = 'counter_cache_page';

/** Targets listed per page. */
const PAGE = 5_000;

/**
 * Requests the recalculation, behind a barrier, of one page of a kind's targets, as far as they lie in these shards.
 *
 * @returns the last key of the page; `null` when there are no more
 * @throws NotPermittedError when policies may have hidden targets
 */
export async function requestPage(
  context: Pick<JobContext, 'buffer' | 'schedule' | 'events'>,
  runner: QueryRunner,
  kind: TargetKind,
  after: readonly string[] | null,
  shards: Iterable<number>,
): Promise<readonly string[] | null> {
  const { buffer, schedule } = context;
  const rows = await listOrReport(context, runner, kind, after);
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

/**
 * A table that cannot be listed has none (I11): its recount is left out, and reported, so that all other tables have theirs.
 */
async function listOrReport(
  { events }: Pick<JobContext, 'events'>,
  runner: QueryRunner,
  kind: TargetKind,
  after: readonly string[] | null,
): ReturnType<typeof listTargets> {
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  try {
    return await listTargets(runner, kind, { where: null, from: null, to: null, after, limit: PAGE });
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    await undoSavepoint(runner, SAVEPOINT);
    const { name: entity } = kind.metadata;
    const advice = 'Run counters.recalculate() for it once that is mended';
    const message = `rows of ${entity} cannot be listed, and are not recounted: ${reasonOf(error)}. ${advice}`;
    events.emit('error', new CounterCacheError('RECOUNT_FAILED', message, { entity }, { cause: error }));
    return [];
  }
}
