import { CounterCacheError } from '../errors';
import type { JobContext } from '../engines/context';
import { reportLost } from './rebuild';
import { sweepEpochs } from './sweep-epochs';

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
