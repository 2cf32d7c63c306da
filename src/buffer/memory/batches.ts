import { randomUUID } from 'node:crypto';

import { kindIdOf } from '../../counter/target';
import type { Batch, BatchEntry, Claim, ClaimScope, Unapplied } from '../buffer';
import { type MemoryShard, reached } from './memory-shard';
import type { Step } from './step';
import { windowEnd } from '../windows';

/** Moves pending deltas into a new batch. A shard without an epoch has lost its data: nothing of it may be applied. */
export function claim(shard: MemoryShard, index: number, scope: ClaimScope, limit: number, now: number): Claim {
  if (shard.epoch === null) return { batch: null, more: false, next: null, now };
  const targets = candidates(shard, scope, now)
    .filter((target) => shard.tokenOn(target, now) === null)
    .slice(0, limit);
  const entries = targets.map((target) => take(shard, target)).filter((entry) => entry !== null);
  const batch =
    entries.length === 0 ? null : { id: randomUUID(), shard: index, epoch: shard.epoch, claimedAt: now, entries };
  if (batch !== null) hold(shard, batch);
  return { batch: batch && copyOf(batch), more: targets.length >= limit, next: earliest(shard.due.values()), now };
}

function candidates(shard: MemoryShard, scope: ClaimScope, now: number): string[] {
  switch (scope.select) {
    case 'due':
      return reached(shard.due, now, Infinity);
    case 'targets':
      return [...new Set(scope.targets)].filter((target) => shard.due.has(target));
    case 'dirty': {
      const { kinds } = scope;
      const dirty = reached(shard.due, Infinity, Infinity);
      return kinds === null ? dirty : dirty.filter((target) => kinds.includes(kindIdOf(target)));
    }
  }
}

function take(shard: MemoryShard, target: string): BatchEntry | null {
  const pending = shard.pending.get(target);
  shard.pending.delete(target);
  shard.due.delete(target);
  const amounts = new Map([...(pending?.amounts ?? [])].filter(([, amount]) => amount !== 0n));
  const touches = pending?.touches ?? new Map<string, number>();
  return amounts.size === 0 && touches.size === 0 ? null : { target, amounts, touches };
}

function hold(shard: MemoryShard, batch: Batch): void {
  shard.batches.set(batch.id, { batch, heldSince: batch.claimedAt });
  for (const { target } of batch.entries) shard.claimed.set(target, (shard.claimed.get(target) ?? 0) + 1);
  shard.version++;
}

/** The least of some times; `null` of none. */
export function earliest(times: Iterable<number>): number | null {
  let least: number | null = null;
  for (const time of times) if (least === null || time < least) least = time;
  return least;
}

/** Deletes a batch and gives the unapplied targets back. */
export function acknowledge(shard: MemoryShard, batchId: string, unapplied: readonly Unapplied[], step: Step): boolean {
  const stored = shard.batches.get(batchId);
  if (stored === undefined) return false;
  const back = new Map(unapplied.map((row) => [row.target, row]));
  for (const entry of stored.batch.entries) {
    release(shard, entry.target);
    const row = back.get(entry.target);
    if (row !== undefined) giveBack(shard, entry, row, step);
  }
  shard.batches.delete(batchId);
  shard.version++;
  return true;
}

function release(shard: MemoryShard, target: string): void {
  const left = (shard.claimed.get(target) ?? 0) - 1;
  if (left > 0) shard.claimed.set(target, left);
  else shard.claimed.delete(target);
}

function giveBack(shard: MemoryShard, { target, amounts, touches }: BatchEntry, row: Unapplied, step: Step): void {
  const goesBack = (column: string): boolean =>
    'failed' in row || row.columns === undefined || row.columns.includes(column);
  for (const [column, amount] of amounts) {
    if (goesBack(column) && shard.addAmount(target, column, amount) === null) shard.heal(target, step.now, step);
  }
  for (const [column, time] of touches) if (goesBack(column)) shard.addTouch(target, column, time);
  if ('failed' in row) {
    shard.failed.set(target, row.failed);
    shard.due.delete(target);
  } else {
    // Not the earlier of this and what stands: a locked row must not be hammered.
    const at = windowEnd(step.now + row.backoff, step.window);
    shard.due.set(target, at);
    step.reconcileAt(at);
  }
}

/** Batches held for long. They keep the time of their claim, which the ledger's floor is compared with. */
export function takeOver(shard: MemoryShard, olderThan: number, limit: number, now: number): Batch[] {
  const times = [...shard.batches].map(([id, { heldSince }]) => [id, heldSince] as const);
  return reached(times, now - olderThan, limit).flatMap((id) => {
    const stored = shard.batches.get(id);
    if (stored === undefined) return [];
    stored.heldSince = now;
    return [copyOf(stored.batch)];
  });
}

function copyOf(batch: Batch): Batch {
  const entries = batch.entries.map(({ target, amounts, touches }) => ({
    target,
    amounts: new Map(amounts),
    touches: new Map(touches),
  }));
  return { ...batch, entries };
}
