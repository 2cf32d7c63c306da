import type { WakeUp } from './pending';
import { windowEnd, windowStart } from './windows';

/**
 * A wake-up that no buffer asked for: due in `delay` ms, at the end of a window; without a delay now, at the start of the
 * present one. So there is one job per shard and window, however many ask for it. All in ms, by the local clock.
 */
export function ownWakeUp(kind: WakeUp['kind'], shard: number, delay: number, window: number): WakeUp {
  const now = Date.now();
  const at = delay > 0 ? windowEnd(now + delay, window) : windowStart(now, window);
  return { kind, shard, at, delay: at - now };
}

/** Milliseconds until another worker is called for what this one does not know. */
const HAND_OVER = 50;

/** The same, once no worker has come for so long: there may be no other. */
const PATIENCE = 2_000;

/** The same for what was put off. */
const PUT_OFF = 10_000;

/**
 * A wake-up for another worker, soon: it may be this one again that hears it. `overdue` says for how many ms what it is for
 * has been due; `null` when it was put off. Not rounded to a window, so that what is due in one is applied in it; all workers
 * together set one per {@link HAND_OVER}.
 */
export function handOverWakeUp(shard: number, overdue: number | null): WakeUp {
  const now = Date.now();
  const delay = overdue === null ? PUT_OFF : overdue < PATIENCE ? HAND_OVER : PATIENCE;
  const at = windowEnd(now + delay, HAND_OVER);
  return { kind: 'reconcile', shard, at, delay: at - now };
}
