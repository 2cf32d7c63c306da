import type { CountersOptions } from 'typeorm-counter-cache';

/** Writes under way at any time. */
export const CLIENTS = 32;

/** Shorter than by default; longer than a sample: what a variant leaves is applied before the next one is measured. */
export const TIMES = { wait: 1_000, window: 1_000 } as const satisfies Partial<CountersOptions>;
