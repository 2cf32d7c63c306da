import { randomUUID } from 'node:crypto';

import { tableIdOf } from '../../../model/target';
import type { Claim, Known, LeftForOthers } from '../buffer';
import type { Batch, BatchEntry, ClaimScope, Unapplied } from '../../../model/pending';
import { type MemoryShard, reached } from './memory-shard';
import type { Step } from './step';
import { windowEnd } from '../../../model/windows';

/** Targets left for others in front of what is due, from which on they are put off. */
const MAX_LEFT = 5_000;

/** Milliseconds by which they are. */
const PUT_OFF = 10_000;

/** Moves pending deltas into a new batch. A shard without an epoch has lost its data: nothing of it may be applied. */
export function claim(
  shard: MemoryShard,
  index: number,
  scope: ClaimScope,
  { limit, now, known }: { readonly limit: number; readonly now: number; readonly known: Known | undefined },
): Claim {
  if (shard.epoch === null) return { batch: null, more: false, next: null, now, left: null, isLost: true };
  const isKnown = knownIn(known);
  const entries: BatchEntry[] = [];
  const left = new Map<string, number>();
  let taken = 0;
  const inBatch: string[] = [];
  for (const target of candidates(shard, scope, now)) {
    if (taken >= limit || left.size >= (scope.select === 'due' ? MAX_LEFT : Infinity)) break;
    if (shard.tokenOn(target, now) !== null) continue;
    const due = shard.due.get(target) ?? now;
    const { entry, isWhole } = take(shard, target, isKnown);
    if (entry !== null) entries.push(entry);
    if (!isWhole) left.set(target, due);
    if (!isWhole && entry !== null) inBatch.push(target);
    if (isWhole || entry !== null) taken += 1;
  }
  const batch =
    entries.length === 0 ? null : { id: randomUUID(), shard: index, epoch: shard.epoch, claimedAt: now, entries };
  if (batch !== null) hold(shard, batch);
  const next = earliest([...shard.due].flatMap(([target, due]) => (left.has(target) ? [] : [due])));
  const arePutOff = scope.select === 'due' && left.size >= MAX_LEFT;
  if (arePutOff) for (const target of left.keys()) shard.due.set(target, now + PUT_OFF);
  const more = taken >= limit || arePutOff;
  return { batch: batch && copyOf(batch), more, next, now, left: leftOf(left, inBatch, arePutOff), isLost: false };
}

function leftOf(
  left: ReadonlyMap<string, number>,
  inBatch: readonly string[],
  arePutOff: boolean,
): LeftForOthers | null {
  if (left.size === 0) return null;
  const tableIds = [...new Set([...left.keys()].map(tableIdOf))];
  return { targets: left.size, inBatch, since: earliest(left.values()) ?? 0, tableIds, arePutOff };
}

interface IsKnown {
  readonly column: (target: string, name: string) => boolean;
  readonly touch: (target: string, name: string) => boolean;
}

function knownIn(known: Known | undefined): IsKnown {
  if (known === undefined) return { column: () => true, touch: () => true };
  return {
    column: (target, name) => known.get(tableIdOf(target))?.columns.has(name) === true,
    touch: (target, name) => known.get(tableIdOf(target))?.touches.has(name) === true,
  };
}

function candidates(shard: MemoryShard, scope: ClaimScope, now: number): string[] {
  switch (scope.select) {
    case 'due':
      return reached(shard.due, now, Infinity);
    case 'targets':
      return [...new Set(scope.targets)].filter((target) => shard.due.has(target));
    case 'dirty': {
      const { tableIds } = scope;
      const dirty = reached(shard.due, Infinity, Infinity);
      return tableIds === null ? dirty : dirty.filter((target) => tableIds.includes(tableIdOf(target)));
    }
  }
}

/** Takes what is known off a target; all of it, when nothing else is pending. */
function take(
  shard: MemoryShard,
  target: string,
  isKnown: IsKnown,
): { readonly entry: BatchEntry | null; readonly isWhole: boolean } {
  const pending = shard.pending.get(target);
  const amounts = new Map([...(pending?.amounts ?? [])].filter(([name]) => isKnown.column(target, name)));
  const touches = new Map([...(pending?.touches ?? [])].filter(([name]) => isKnown.touch(target, name)));
  for (const name of amounts.keys()) pending?.amounts.delete(name);
  for (const name of touches.keys()) pending?.touches.delete(name);
  const isWhole = pending === undefined || pending.amounts.size + pending.touches.size === 0;
  if (isWhole) {
    shard.pending.delete(target);
    shard.due.delete(target);
  }
  for (const [name, amount] of amounts) if (amount === 0n) amounts.delete(name);
  return { entry: amounts.size + touches.size === 0 ? null : { target, amounts, touches }, isWhole };
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
    if (goesBack(column) && shard.addAmount(target, column, amount) === null)
      shard.requestRepair(target, step.now, 0n, step);
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
