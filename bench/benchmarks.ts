import type { Benchmark } from './benchmark';
import { overhead } from './overhead';
import { read } from './read';
import { recalculate } from './recalculate';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [overhead, read, recalculate];
