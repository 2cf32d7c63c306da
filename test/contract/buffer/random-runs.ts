import { Conservation } from './conservation';
import type { OpenBuffer } from './harness';
import { ProtocolWorld } from './protocol-world';
import { replayable } from './random';

const RUNS = [1, 2, 3, 4, 5, 6, 7, 8];

/** Random operations against a reference. */
export function describeRandomRuns(open: OpenBuffer, lives: number): void {
  it.each(RUNS)('nothing that was announced is lost or doubled (I1), random run %i', async (run) => {
    await replayable(run, async (random) => {
      const conservation = new Conservation(await open(), random);
      for (let step = 1; step <= 300; step++) {
        await conservation.step();
        if (step % 10 === 0) await conservation.check();
      }
    });
  });

  it.each(RUNS)('columns come to the truth whatever dies (I1, I3, I6), random runs %i', async (run) => {
    // Short lives: in a long one, a later recalculation corrects what went wrong.
    for (let life = 0; life < lives; life++) {
      await replayable(run, async (random) => {
        const world = new ProtocolWorld(await open(), random);
        for (let step = 0; step < 50; step++) await world.step();
        await world.settle();
        world.check();
      });
    }
  });
}
