import type { Scenario } from './scenario';

/** Few states each: all of them in seconds. */
export const SMALL: readonly Scenario[] = [
  { writers: 2 },
  { writers: 1, crashes: 1 },
  { writers: 1, early: true, crashes: 1 },
  { writers: 1, outages: true, crashes: 1 },
  { writers: 1, outages: true, memory: true, early: true },
  { writers: 1, outages: true, refusals: 2 },
  { writers: 1, locks: 1, refusals: 1, crashes: 1 },
  { writers: 1, purges: 1, crashes: 1 },
  { columns: 2, scheduled: true },
  { writers: 1, columns: 2, scheduled: true, early: true, crashes: 1 },
  { writers: 1, recalculators: 2, visits: 1 },
  { writers: 1, wipes: 1 },
  { writers: 1, wrong: false, saves: 1, rewinds: 1 },
];

/** More of everything at once. */
export const LARGE: readonly Scenario[] = [
  { writers: 3 },
  { writers: 2, crashes: 2 },
  { writers: 2, early: true, crashes: 1 },
  { writers: 2, outages: true },
  { writers: 2, visits: 1 },
  { writers: 2, recalculators: 2 },
  { writers: 1, recalculators: 2, early: true, crashes: 1 },
  { writers: 2, wrong: false, wipes: 1 },
  { writers: 1, wipes: 1, crashes: 1 },
  { writers: 1, wrong: false, wipes: 1, looks: 1 },
  { writers: 1, saves: 1, rewinds: 1 },
  { writers: 1, wrong: false, saves: 1, rewinds: 1, crashes: 1 },
  { writers: 1, wrong: false, saves: 2, rewinds: 2 },
];
