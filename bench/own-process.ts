import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Microseconds of processor time of this process, all of its threads together, from now until it is asked. */
export function processorTime(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
}

/**
 * Watches, from now until it is asked, how long the event loop stands still.
 *
 * @param resolution ms; the monitor reports that much more than there was
 * @returns the longest pause, ms; it ends the watch
 */
export function longestPause(resolution: number): () => number {
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  return () => {
    delays.disable();
    return Math.max(0, delays.max / 1e6 - resolution);
  };
}
