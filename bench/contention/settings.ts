import type { CountersOptions } from 'typeorm-counter-cache';

/** Writes under way at any time. */
export const CLIENTS = 32;

/**
 * Shorter than by default: what is written is applied while it is measured, by the same two processors, and not while
 * others are.
 */
export const TIMES = { wait: 250, window: 250 } as const satisfies Partial<CountersOptions>;
