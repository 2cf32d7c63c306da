import type { Benchmark } from './benchmark';
import { overhead } from './overhead';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [overhead];
