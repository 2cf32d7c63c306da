import type { ShardStatus } from '../engines/buffered/buffer';
import { describeTarget, type JobContext } from '../engines/context';
import type { FailedTarget } from '../events';
import { countCampaigns } from '../dialects/postgres/installation/campaigns';
import { outboxStatus } from '../dialects/postgres/outbox/outbox-status';
import { withConnection } from '../dialects/postgres/query';

/** Figures over all shards and the outbox. Times in ms since the epoch, by the clock of where the delta waits. */
export interface CountersStatus {
  /**
   * Targets with a pending delta, or whose recalculation is asked for in the outbox; one that waits both in the buffer and
   * in the outbox counts twice.
   */
  readonly dirty: number;
  /** When the oldest pending delta is due; `null` when nothing is dirty. */
  readonly oldestDue: number | null;
  /** Batches claimed and not yet acknowledged. */
  readonly batches: number;
  /** Deltas announced and not yet confirmed. */
  readonly intents: number;
  /**
   * Recalculations requested, due or not. One of a whole table, or of a shard that lost its data, counts as one until its
   * targets are listed; then each of them does.
   */
  readonly recalculations: number;
  /** Targets that the database refused to change. */
  readonly failed: readonly FailedTarget[];
}

/** Adds up the figures of all shards. */
export async function readStatus({ buffer, definitions, dataSource, tables }: JobContext): Promise<CountersStatus> {
  const [outbox, campaigns] = await withConnection(dataSource, async (runner) => [
    await outboxStatus(runner, tables),
    await countCampaigns(runner, tables, [...definitions.targetTables.keys()]),
  ]);
  const shards = await Promise.all(Array.from({ length: buffer.shards }, (_, shard) => buffer.status(shard)));
  const sum = (figure: 'dirty' | 'batches' | 'intents' | 'recalculations') =>
    shards.reduce((total: number, shard: ShardStatus) => total + shard[figure], 0);
  const dues = shards.flatMap(({ oldestDue }) => (oldestDue === null ? [] : [oldestDue]));
  if (outbox.oldestDue !== null) dues.push(outbox.oldestDue);
  const failed = [...shards.flatMap((shard) => shard.failed), ...outbox.failed];
  return {
    dirty: sum('dirty') + outbox.dirty,
    oldestDue: dues.length === 0 ? null : Math.min(...dues),
    batches: sum('batches'),
    intents: sum('intents'),
    recalculations: sum('recalculations') + campaigns,
    failed: failed.map(({ target, reason }) => ({ ...describeTarget(definitions, target), reason })),
  };
}
