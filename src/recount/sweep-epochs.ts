import { adoptEpoch, adoptIncarnation, readShards } from '../dialects/postgres/installation/epoch';
import type { JobContext } from '../engines/context';

/** What a look at the epochs of all shards found. */
export interface SweptEpochs {
  /** Shards that lost their data, found just now. */
  readonly lost: readonly number[];
  /** Recounts of lost shards are still to be requested. */
  readonly isRebuilding: boolean;
}

/**
 * Brings the epochs of all shards together.
 *
 * @throws CounterCacheError `STATE_MISMATCH` when other processes of the installation use another Redis
 */
export async function sweepEpochs({
  buffer,
  dataSource,
  tables,
  settleHome,
}: Pick<JobContext, 'buffer' | 'dataSource' | 'tables' | 'settleHome'>): Promise<SweptEpochs> {
  // First: the epochs of another Redis say nothing.
  await settleHome?.(dataSource);
  const incarnation = await buffer.incarnation();
  if (incarnation !== null) await adoptIncarnation(dataSource, tables, incarnation);
  const inSql = await readShards(dataSource, tables);
  const inBuffer = await Promise.all(Array.from({ length: buffer.shards }, (_, shard) => buffer.epoch(shard)));
  const lost: number[] = [];
  for (const [shard, epoch] of inBuffer.entries()) {
    if (epoch !== null && epoch > 0 && epoch === inSql.get(shard)?.epoch) continue;
    if ((await adoptEpoch(dataSource, tables, shard, buffer)) === 'lost') lost.push(shard);
  }
  return { lost, isRebuilding: lost.length > 0 || [...inSql.values()].some((shard) => shard.isRebuilding) };
}
