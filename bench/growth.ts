import type { Benchmark } from './benchmark';
import { PRODUCTION } from './flush/settings';
import { type Measured, measureSize, type Size } from './growth/measure-size';
import { present, summarize } from './growth/present';

/** Dirty targets at a time, and samples of which the median is reported; before a single one nothing is warmed up. */
const SIZES: readonly Size[] = [
  { targets: 1_000, samples: 7 },
  { targets: 10_000, samples: 5 },
  { targets: 100_000, samples: 3 },
  { targets: 1_000_000, samples: 1 },
];

/** Whether time and memory grow with the number of dirty targets only. */
export const growth: Benchmark<readonly Measured[]> = {
  name: 'growth',
  describe:
    'From 1,000 to 1,000,000 dirty targets: what each costs to make dirty and to apply, what it takes in Redis, and what that does to the one worker process.',
  postgres: PRODUCTION,
  seconds: 150,
  summarize,
  async run(environment) {
    const measured = [];
    for (const size of SIZES) {
      console.log(`Measuring: ${size.targets.toLocaleString('en')} targets …`);
      measured.push(await measureSize(environment, size));
    }
    return present(measured);
  },
};
