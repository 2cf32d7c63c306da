import type { Benchmark } from './benchmark';
import { Baseline } from './flush/baseline';
import { Library } from './flush/library';
import { present } from './flush/present';
import { takeRounds } from './flush/rounds';
import { Stage } from './flush/stage';
import { PRODUCTION } from './flush/settings';

const TARGETS = Number(process.env['TARGETS'] ?? 100_000);
/** Fewer for the slow ones: rates are compared. */
const BASELINE_TARGETS = 10_000;

const BATCHES = (process.env['BATCHES'] ?? '100,1000,5000').split(',').map(Number);
const PROCESSES = (process.env['PROCESSES'] ?? '1,2').split(',').map(Number);

/** How fast dirty targets are applied. */
export const flush: Benchmark = {
  name: 'flush',
  describe:
    'How fast a worker applies 100,000 dirty targets, compared with one BullMQ job and one UPDATE per target; all in processes of their own, on the same servers.',
  postgres: PRODUCTION,
  seconds: 240,
  async run(environment, seconds) {
    const stage = await Stage.open(environment, TARGETS);
    // What Redis takes per target can be seen once: afterwards the targets wait for their recalculation already.
    const memory = await stage.memoryPerTarget(TARGETS);
    const libraries: Library[] = [];
    for (const processes of PROCESSES)
      for (const batch of BATCHES)
        libraries.push(await Library.start(environment, stage, { targets: TARGETS, batch, processes }));
    const baseline = await Baseline.start(environment, stage, BASELINE_TARGETS);
    try {
      const rounds = await takeRounds([baseline.endToEnd, baseline.applyOnly, ...libraries], seconds);
      return present({ rounds, memory, wrong: await stage.wrong(), targets: TARGETS, baseline: BASELINE_TARGETS });
    } finally {
      await baseline.close();
      for (const library of libraries) await library.close();
      await stage.close();
    }
  },
};
