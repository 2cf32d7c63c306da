import type { CountersOptions } from 'typeorm-counter-cache';

import { LOAD_OPTIONS } from '../faults/load/settings';

/** `SOAK=full`: ten minutes; `SOAK=short`: one. */
const SECONDS = process.env['SOAK'] === 'full' ? 600 : 60;

/** How long and how hard; each may be set by its variable. */
export const SOAK = {
  seed: numberOf('SOAK_SEED', Date.now() % 1_000_000),
  /** Of the load, s. */
  seconds: numberOf('SOAK_SECONDS', SECONDS),
  /** Until the memory of processes is what it will stay, s. */
  warmUp: numberOf('SOAK_WARM_UP', Math.min(120, numberOf('SOAK_SECONDS', SECONDS) / 3)),
  /** Between two kills or restarts, ms; 0 for none. */
  killEvery: numberOf('SOAK_KILL_EVERY', 4_000),
  writers: numberOf('SOAK_WRITERS', 8),
  workers: numberOf('SOAK_WORKERS', 3),
  /** Part of the statements that time out at the client. */
  timeouts: numberOf('SOAK_TIMEOUTS', 0.02),
  /** Targets of each kind, of which 2 % are refused. */
  targets: numberOf('SOAK_TARGETS', 100),
  /** How long what is left may take to be applied, ms. */
  quiet: numberOf('SOAK_QUIET', 120_000),
  /** Growth of a heap that is none, bytes. */
  growth: 10 * 2 ** 20,
  /** Which kinds of deaths and restarts happen, by their names; `null` for all. */
  events: process.env['SOAK_EVENTS'] === undefined ? null : new RegExp(process.env['SOAK_EVENTS']),
  /** By which the database refuses to change a bad target: one each. */
  errcodes: (process.env['SOAK_ERRCODES'] ?? 'AR001,45000,42501,42883,55000,57014,XX000').split(','),
} as const;

/** After which a statement of a writer is given up, ms; and how long a slow one takes, s: its ROLLBACK is given up as well. */
export const QUERY_TIMEOUT = numberOf('SOAK_QUERY_TIMEOUT', 1_500);
export const SLOW = 4;

/** Goals of a player whose statement is slow, and of one whose COMMIT is. */
export const SLOW_STATEMENT = 77;
export const SLOW_COMMIT = 78;

/** Recounts by schedule would hide what is wrong: there are none, unless `SOAK_RECALCULATION` says after how many ms. */
export const SOAK_OPTIONS = {
  ...LOAD_OPTIONS,
  wait: 200,
  recalculationDelay: numberOf('SOAK_RECALCULATION', 24 * 3_600_000),
  attachTimeout: 10_000,
} as const satisfies Partial<CountersOptions>;

function numberOf(name: string, otherwise: number): number {
  const text = process.env[name];
  return text === undefined || text === '' ? otherwise : Number(text);
}
