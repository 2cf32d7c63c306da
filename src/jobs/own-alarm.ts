import type { Alarm } from '../buffer/buffer';
import { windowEnd, windowStart } from '../buffer/windows';

/**
 * An alarm that no buffer asked for: due in `delay` ms, at the end of a window; without a delay now, at the start of the
 * present one. So there is one job per shard and window, however many ask for it. All in ms, by the local clock.
 */
export function ownAlarm(kind: Alarm['kind'], shard: number, delay: number, window: number): Alarm {
  const now = Date.now();
  const at = delay > 0 ? windowEnd(now + delay, window) : windowStart(now, window);
  return { kind, shard, at, delay: at - now };
}
