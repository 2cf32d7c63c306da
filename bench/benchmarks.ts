import type { Benchmark } from './benchmark';
import { contention } from './contention';
import { flush } from './flush';
import { growth } from './growth';
import { overhead } from './overhead';
import { read } from './read';
import { recalculate } from './recalculate';

/** Every benchmark. */
export const BENCHMARKS: readonly Benchmark[] = [overhead, contention, flush, growth, read, recalculate];
