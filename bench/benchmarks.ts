import type { Benchmark } from './benchmark';
import { contention } from './contention';
import { flush } from './flush';
import { growth } from './growth';
import { overhead } from './overhead';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [contention, flush, growth, overhead];
