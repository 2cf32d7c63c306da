import type { Confirmed, Intent } from '../buffer';
import type { TargetDelta } from '../../../model/pending';
import { type MemoryShard, reached, type StoredDelta } from './memory-shard';
import type { Step } from './step';
import { recalculationTime, windowEnd, windowStart } from '../../../model/windows';

/** Announces an intent; announcing it again replaces it. */
export function announce(shard: MemoryShard, intent: Intent, now: number): void {
  const copy = (delta: TargetDelta): StoredDelta => ({
    ...delta,
    amounts: new Map(delta.amounts),
    touches: [...delta.touches],
  });
  shard.intents.set(intent.id, { announcedAt: now, deltas: intent.deltas.map(copy) });
}

/** Makes an intent pending. Taking it out first is what makes a second confirm find nothing. */
export function confirm(shard: MemoryShard, index: number, intentId: string, step: Step): Confirmed {
  const intent = shard.intents.get(intentId);
  if (intent === undefined) return { found: false, wakeUps: [] };
  shard.intents.delete(intentId);
  addDeltas(shard, { id: intentId, deltas: intent.deltas }, step);
  return { found: true, wakeUps: step.wakeUps(index) };
}

export function addDeltas(shard: MemoryShard, intent: Intent, step: Step): void {
  for (const delta of intent.deltas) addDelta(shard, intent.id, delta, step);
}

function addDelta(shard: MemoryShard, intent: string, delta: TargetDelta, step: Step): void {
  const { target } = delta;
  const leased = shard.tokenOn(target, step.now) !== null;
  let biggest = 0n;
  let overflow = false;
  for (const [column, amount] of delta.amounts) {
    const sum = shard.addAmount(target, column, amount);
    if (sum === null) overflow = true;
    else if (magnitude(sum) > biggest) biggest = magnitude(sum);
    if (leased) shard.log(target, { intent, column, amount });
  }
  for (const column of delta.touches) shard.addTouch(target, column, step.now);
  const changes = delta.amounts.size + delta.touches.length > 0;
  if (changes && !shard.failed.has(target)) shard.makeDue(target, dueTime(delta, biggest, step), step);
  scheduleRecalculation(shard, delta, step);
  if (delta.replaced) repairReplaced(shard, intent, target, step);
  if (overflow) shard.requestRepair(target, step.now, 0n, step);
}

/** The repair reads behind the transaction itself: its own changes must be seen. */
function repairReplaced(shard: MemoryShard, intent: string, target: string, step: Step): void {
  shard.dropPending(target);
  const barrier = /^\d+$/.test(intent) ? BigInt(intent) : 0n;
  shard.requestRepair(target, step.now, barrier, step);
}

function dueTime({ wait, flushAt }: TargetDelta, biggest: bigint, { now, window }: Step): number {
  const full = flushAt > 0 && Number(biggest) >= flushAt;
  return full ? windowStart(now, window) : windowEnd(now + wait, window);
}

/** The ordinary scheduling by writes: puts off no request that stands, and ends no lease. */
function scheduleRecalculation(shard: MemoryShard, { target, recalculateIn }: TargetDelta, step: Step): void {
  if (recalculateIn === null) return;
  const at = recalculationTime(step.now, recalculateIn, step.window);
  if ((shard.recalculations.get(target) ?? Infinity) <= at) return;
  shard.recalculations.set(target, at);
  step.recalculateAt(at);
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

export function staleIntents(shard: MemoryShard, olderThan: number, limit: number, now: number): string[] {
  const times = [...shard.intents].map(([id, { announcedAt }]) => [id, announcedAt] as const);
  return reached(times, now - olderThan, limit);
}

/** Drops intents and requests their targets, in one step: a confirm that comes later finds its intent gone. */
export function sweepIntents(shard: MemoryShard, ids: readonly string[], barrier: bigint, step: Step): string[] {
  const targets = ids.flatMap((id) => shard.intents.get(id)?.deltas.map(({ target }) => target) ?? []);
  for (const id of ids) shard.intents.delete(id);
  for (const target of targets) shard.requestRepair(target, step.now, barrier, step);
  return targets;
}
