/** The end of the window in which a time lies; a time on a boundary is its own end. All in ms. */
export function windowEnd(time: number, window: number): number {
  return Math.ceil(time / window) * window;
}

/** The start of the window in which a time lies: what is due then is due at once. */
export function windowStart(time: number, window: number): number {
  return Math.floor(time / window) * window;
}

/** When a recalculation asked for now and due after `delay` fires: its windows are a tenth of the delay, at most 60 windows. */
export function recalculationTime(now: number, delay: number, window: number): number {
  const tenth = windowStart(delay / 10, window);
  return windowEnd(now + delay, Math.min(60 * window, Math.max(window, tenth)));
}
