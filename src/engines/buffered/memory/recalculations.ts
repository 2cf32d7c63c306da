import type { LeaseOutcome } from '../buffer';
import { type MemoryShard, reached } from './memory-shard';
import type { Step } from './step';
import { windowEnd } from '../../../model/windows';

export interface LeaseOptions {
  /** Milliseconds until the lease expires. */
  readonly ttl: number;
  /** The oldest transaction still open. */
  readonly horizon: bigint;
  /** Refuses targets whose barrier has passed as well. */
  readonly plain?: boolean;
}

/** Puts a token on a target, or says why not. */
export function acquire(
  shard: MemoryShard,
  token: string,
  target: string,
  options: LeaseOptions,
  now: number,
): LeaseOutcome {
  const standing = shard.tokenOn(target, now);
  const barrier = shard.barriers.get(target);
  if (shard.claimed.has(target)) return 'claimed';
  if (standing !== null && standing !== token) return 'held';
  if (barrier !== undefined && (options.plain === true || barrier >= options.horizon)) return 'barred';
  shard.beginLease(target, { token, expires: now + options.ttl });
  return 'acquired';
}

/** Targets whose recalculation is due, oldest first. */
export function dueRecalculations(
  shard: MemoryShard,
  limit: number,
  now: number,
): { readonly target: string; readonly repair: boolean }[] {
  return reached(shard.recalculations, now, limit).map((target) => ({ target, repair: shard.barriers.has(target) }));
}

/** Puts off requests; one that is gone stays gone, a later one stays later. */
export function postpone(shard: MemoryShard, targets: readonly string[], delay: number, step: Step): void {
  const at = windowEnd(step.now + delay, step.window);
  for (const target of targets) {
    const before = shard.recalculations.get(target);
    if (before === undefined || before >= at) continue;
    shard.recalculations.set(target, at);
    step.recalculateAt(at);
  }
}
