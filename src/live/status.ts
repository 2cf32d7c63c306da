import type { ShardStatus } from '../buffer/buffer';
import { describeTarget, type JobContext } from '../jobs/context';

/** Figures over all shards. Times in ms since the epoch, by the buffer's clock. */
export interface CountersStatus {
  /** Targets with a pending delta. */
  readonly dirty: number;
  /** When the oldest pending delta is due; `null` when nothing is dirty. */
  readonly oldestDue: number | null;
  /** Batches claimed and not yet acknowledged. */
  readonly batches: number;
  /** Deltas announced and not yet confirmed. */
  readonly intents: number;
  /** Recalculations requested, due or not. */
  readonly recalculations: number;
  /** Targets that the database refused to change. */
  readonly failed: readonly { readonly entity: string; readonly id: string; readonly reason: string }[];
}

/** Adds up the figures of all shards. */
export async function readStatus({ buffer, definitions }: JobContext): Promise<CountersStatus> {
  const shards = await Promise.all(Array.from({ length: buffer.shards }, (_, shard) => buffer.status(shard)));
  const sum = (figure: 'dirty' | 'batches' | 'intents' | 'recalculations') =>
    shards.reduce((total: number, shard: ShardStatus) => total + shard[figure], 0);
  const dues = shards.flatMap(({ oldestDue }) => (oldestDue === null ? [] : [oldestDue]));
  return {
    dirty: sum('dirty'),
    oldestDue: dues.length === 0 ? null : Math.min(...dues),
    batches: sum('batches'),
    intents: sum('intents'),
    recalculations: sum('recalculations'),
    failed: shards.flatMap(({ failed }) =>
      failed.map(({ target, reason }) => ({ ...describeTarget(definitions, target), reason })),
    ),
  };
}
