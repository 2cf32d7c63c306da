import { constants } from 'node:os';

import { checkArgument } from './check-arguments';

/** The signals by which a process is asked to end. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs `close` once, at the first SIGTERM or SIGINT; another signal exits at once, with 128 + its number. After `close`
 * the process ends by itself, as soon as nothing else keeps it. Returns a function that stops listening.
 *
 * @throws ConfigurationError when `close` is no function
 * @example
 * closeOnSignal(async () => {
 *   await counters.close();
 *   await dataSource.destroy();
 * });
 */
export function closeOnSignal(close: () => Promise<unknown>): () => void {
  checkArgument(typeof close === 'function', 'closeOnSignal', 'close to be a function', close);
  let isClosing = false;
  const end = (signal: (typeof SIGNALS)[number]): void => {
    if (isClosing) process.exit(128 + constants.signals[signal]);
    isClosing = true;
    // A rejection ends the process, as any that is not handled.
    void close();
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
}
