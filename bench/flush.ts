import type { Benchmark } from './benchmark';
import { Baseline } from './flush/baseline';
import { Library } from './flush/library';
import { type FlushFigures, present, summarize } from './flush/present';
import { takeRounds } from './flush/take-rounds';
import { PRODUCTION } from './flush/settings';
import { Stage } from './flush/stage';

const TARGETS = 100_000;
/** Fewer for what is slow: rates are compared. */
const BASELINE_TARGETS = 10_000;

const PROCESSES = [1, 2];
const BATCHES = [100, 1_000, 5_000];

/** How fast dirty targets are applied. */
export const flush: Benchmark<FlushFigures> = {
  name: 'flush',
  describe:
    'How fast a worker applies 100,000 dirty targets, compared with one BullMQ job and one UPDATE per target; every worker is a process of its own, on the same servers.',
  postgres: PRODUCTION,
  seconds: 200,
  summarize,
  async run(environment, seconds) {
    const stage = await Stage.open(environment, TARGETS);
    const memory = await stage.memoryPerTarget();
    const libraries: Library[] = [];
    for (const processes of PROCESSES) {
      for (const batch of BATCHES) {
        libraries.push(await Library.start(environment, stage, { targets: TARGETS, batch, processes }));
      }
    }
    const baseline = await Baseline.start(environment, stage, BASELINE_TARGETS);
    try {
      const rounds = await takeRounds([baseline.endToEnd, baseline.applyOnly, ...libraries], seconds);
      const variants = libraries.map(({ name }) => name);
      const wrong = await stage.wrong();
      return present({ rounds, variants, memory, wrong, targets: TARGETS, baselineTargets: BASELINE_TARGETS });
    } finally {
      await baseline.close();
      for (const library of libraries) await library.close();
      await stage.close();
    }
  },
};
