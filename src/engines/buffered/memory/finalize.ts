import type { Finalized, FinalizeOptions, Recount } from '../buffer';
import type { Snapshot } from '../../../model/pending';
import type { LogEntry, MemoryShard } from './memory-shard';
import type { Step } from './step';
import { recalculationTime, windowEnd, windowStart } from '../../../model/windows';

/** Windows until a target is recounted again whose lack does not fit int64. */
const OVERFLOW_DELAY = 60;

/** Whether a snapshot has seen a transaction. An id that is no transaction's is never seen. */
function isVisible(id: string, { xmin, xmax, inProgress }: Snapshot): boolean {
  if (!/^\d+$/.test(id)) return false;
  const transaction = BigInt(id);
  return transaction < xmin || (transaction < xmax && !inProgress.includes(transaction));
}

/** Sets pending to what is missing where the lease still stands, and ends the lease. */
export function finalize(
  shard: MemoryShard,
  token: string,
  snapshot: Snapshot,
  recounts: readonly Recount[],
  options: FinalizeOptions,
  step: Step,
): Finalized[] {
  const outcomes = recounts.map((recount) => {
    const standing = shard.tokenOn(recount.target, step.now) === token && !hasAppeared(shard, recount, snapshot);
    if (!standing && shard.tokenOn(recount.target, step.now) === token) shard.endLease(recount.target);
    const known = standing ? settle(shard, recount, snapshot, options, step) : new Map<string, bigint>();
    return { target: recount.target, standing, known };
  });
  if (!options.dry) shard.version++;
  return outcomes;
}

/** Absent for the snapshot, yet a transaction added to it since: the row has appeared, and is read again. */
function hasAppeared(shard: MemoryShard, { target, missing }: Recount, snapshot: Snapshot): boolean {
  return missing === null && (shard.logs.get(target) ?? []).some(({ intent }) => !isVisible(intent, snapshot));
}

function settle(
  shard: MemoryShard,
  recount: Recount,
  snapshot: Snapshot,
  { consume, dry }: FinalizeOptions,
  step: Step,
): Map<string, bigint> {
  const { target, missing } = recount;
  const unseen = (shard.logs.get(target) ?? []).filter(({ intent }) => !isVisible(intent, snapshot));
  const before = shard.pending.get(target)?.amounts;
  const known = new Map<string, bigint>();
  for (const column of missing?.keys() ?? []) {
    const absorbed = absorb(shard, target, column, snapshot, dry);
    known.set(column, (before?.get(column) ?? 0n) - sumOf(unseen, column) + absorbed);
  }
  shard.endLease(target);
  if (dry) return known;
  if (missing === null) {
    absorbAll(shard, target, snapshot);
    forget(shard, target);
  }
  if (consume) fulfil(shard, recount, unseen.length > 0, step);
  if (missing !== null) replacePending(shard, target, missing, unseen, step);
  return known;
}

function sumOf(entries: readonly LogEntry[], column: string): bigint {
  return entries.reduce((sum, entry) => (entry.column === column ? sum + entry.amount : sum), 0n);
}

/** Takes a column of a target out of the intents that the snapshot has seen: a later confirm adds it no more. */
function absorb(shard: MemoryShard, target: string, column: string, snapshot: Snapshot, dry: boolean): bigint {
  let absorbed = 0n;
  for (const [id, { deltas }] of shard.intents) {
    if (!isVisible(id, snapshot)) continue;
    for (const delta of deltas) {
      if (delta.target !== target) continue;
      absorbed += delta.amounts.get(column) ?? 0n;
      if (!dry) delta.amounts.delete(column);
    }
  }
  return absorbed;
}

/** The same for all of a target: its row is gone, and what is late must not land on one that takes over its key. */
function absorbAll(shard: MemoryShard, target: string, snapshot: Snapshot): void {
  for (const [id, { deltas }] of shard.intents)
    if (isVisible(id, snapshot)) for (const delta of deltas) if (delta.target === target) delta.amounts.clear();
}

function fulfil(shard: MemoryShard, { target, rearmIn }: Recount, unseen: boolean, step: Step): void {
  shard.recalculations.delete(target);
  shard.barriers.delete(target);
  if (!unseen || rearmIn === null) return;
  const at = recalculationTime(step.now, rearmIn, step.window);
  shard.recalculations.set(target, at);
  step.recalculateAt(at);
}

/** The row is absent: nothing that waits for it has a meaning. */
function forget(shard: MemoryShard, target: string): void {
  shard.dropPending(target);
  shard.recalculations.delete(target);
  shard.barriers.delete(target);
}

function replacePending(
  shard: MemoryShard,
  target: string,
  missing: ReadonlyMap<string, bigint>,
  unseen: readonly LogEntry[],
  step: Step,
): void {
  for (const [column, amount] of missing) {
    shard.pendingOf(target).amounts.delete(column);
    const sum = shard.addAmount(target, column, amount + sumOf(unseen, column));
    // After the request was consumed, so that it stands; and not due at once, since the next recount finds the same.
    if (sum === null)
      shard.requestRepair(target, windowEnd(step.now + OVERFLOW_DELAY * step.window, step.window), 0n, step);
  }
  shard.failed.delete(target);
  const { amounts, touches } = shard.pendingOf(target);
  const dirty = touches.size > 0 || [...amounts.values()].some((amount) => amount !== 0n);
  if (dirty) return shard.makeDue(target, windowStart(step.now, step.window), step);
  shard.pending.delete(target);
  shard.due.delete(target);
}
