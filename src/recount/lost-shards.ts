import { CounterCacheError } from '../errors';
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
  bindToHome,
}: Pick<JobContext, 'buffer' | 'dataSource' | 'tables' | 'bindToHome'>): Promise<SweptEpochs> {
  // First: the epochs of another Redis say nothing.
  await bindToHome?.(dataSource);
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

/** Reports that shards lost their data. */
export function reportLost({ events }: Pick<JobContext, 'events'>, lost: readonly number[]): void {
  if (lost.length === 0) return;
  const reason = `shards ${lost.join(', ')} of the buffer lost their data, or went back in time; their targets are recalculated`;
  events.emit('error', new CounterCacheError('BUFFER_LOST', reason, { shards: lost }));
}

/** Reports that this process has given a copy of a database an installation of its own. */
export function reportCopied({ events }: Pick<JobContext, 'events'>, reason: string): void {
  const message = `this database is a copy of the one that its counters were kept for: ${reason}. What is pending elsewhere is not of this database; all targets are recalculated`;
  events.emit('error', new CounterCacheError('BUFFER_LOST', message, { reason }));
}

/**
 * Brings the epochs of all shards together, when a call has met one that lost its data before a sweep has. The recounts of
 * all its targets are left to the next sweep, for which they are noted.
 */
export async function bringEpochsTogether(context: JobContext): Promise<void> {
  const { lost } = await sweepEpochs(context);
  reportLost(context, lost);
}

/**
 * For a shard that is lost again right after its epochs were brought together.
 *
 * @throws CounterCacheError `BUFFER_LOST`
 */
export function failLost(shard: number): never {
  const found = `shard ${shard} of the buffer lost its data, and nothing of it can be applied`;
  throw new CounterCacheError('BUFFER_LOST', `${found}. Look at Redis, which may evict keys or be emptied; try again`, {
    shards: [shard],
  });
}
