import type { TargetDelta } from '../../model/pending';
import { shardOf } from '../../model/shard';
import type { OutboxDelta } from '../../dialects/postgres/outbox/write-outbox';

const BOUND = 2n ** 63n;

/** About 300 years, ms: times of PostgreSQL end somewhere. */
const MAX_DELAY = 10 ** 13;

/**
 * The rows of the outbox that hold a transaction's deltas: one per column, and one for a recalculation of the target. An
 * amount beyond 64 bits is not written by halves: the target is recalculated instead.
 */
export function outboxRows(deltas: readonly TargetDelta[], shards: number): OutboxDelta[] {
  return deltas.flatMap((delta) => {
    const { target, amounts, touches, flushAt } = delta;
    const wait = Math.min(delta.wait, MAX_DELAY);
    const recalculateIn = delta.recalculateIn && Math.ceil(Math.min(delta.recalculateIn, MAX_DELAY));
    const row = { shard: shardOf(target, shards), target, touches, wait, flushAt, recalculateIn, repair: false };
    const fitting = [...amounts].filter(([, amount]) => amount < BOUND && amount >= -BOUND);
    const rows: OutboxDelta[] = fitting.map(([column, amount]) => ({ ...row, column, amount }));
    if (rows.length === 0 && touches.length > 0) rows.push({ ...row, column: null, amount: 0n });
    if (delta.replaced || delta.repair || fitting.length < amounts.size) rows.push(repairRow(row));
    return rows;
  });
}

/** The row of the outbox that asks for the repair of a target. */
export function repairRowOf(target: string, shards: number): OutboxDelta {
  return repairRow({
    shard: shardOf(target, shards),
    target,
    touches: [],
    wait: 0,
    flushAt: 0,
    recalculateIn: null,
    repair: true,
  });
}

function repairRow(row: Omit<OutboxDelta, 'column' | 'amount'>): OutboxDelta {
  return { ...row, column: null, amount: 0n, touches: [], wait: 0, flushAt: 0, recalculateIn: null, repair: true };
}
