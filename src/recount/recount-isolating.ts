import { shardOf } from '../model/shard';
import { NotPermittedError } from '../errors';
import { reasonOf } from '../dialects/postgres/apply/divide';
import { withConnection } from '../dialects/postgres/query';
import { readHorizon } from '../dialects/postgres/snapshot';
import type { JobContext } from '../engines/context';
import { type Recalculated, type RecalculateOptions, recalculateTargets, UNKNOWN } from './recount-targets';

/**
 * The same as {@link recalculateTargets}, whatever it fails for: halves the targets until those whose recount fails stand
 * alone (I11).
 *
 * @throws NotPermittedError where policies may hide rows; what keeps all of them from being recounted: without SQL or the buffer nothing could be told apart
 */
export async function recalculateIsolating(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<Recalculated[]> {
  try {
    return await recalculateTargets(context, targets, options);
  } catch (error) {
    // Of one target or of many: the same is hidden.
    if (error instanceof NotPermittedError) throw error;
    const [first = ''] = targets;
    const epoch = context.buffer.epoch(shardOf(first, context.buffer.shards));
    await Promise.all([withConnection(context.dataSource, readHorizon), epoch]);
    if (targets.length === 1) {
      const uncountable = [{ counter: null, reason: reasonOf(error) }];
      return [{ target: first, outcome: 'failed', drifts: [], uncountable, ...UNKNOWN }];
    }
    const middle = Math.ceil(targets.length / 2);
    return [
      ...(await recalculateIsolating(context, targets.slice(0, middle), options)),
      ...(await recalculateIsolating(context, targets.slice(middle), options)),
    ];
  }
}
