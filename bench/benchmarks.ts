import type { Benchmark } from './benchmark';
import { flush } from './flush';
import { growth } from './growth';
import { overhead } from './overhead';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [overhead, flush, growth];
