import type { Benchmark } from './benchmark';
import { contention } from './contention';
import { overhead } from './overhead';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [contention, overhead];
