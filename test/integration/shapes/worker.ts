import type { Fixture } from '../../support/setup';
import { until } from '../../support/until';

/**
 * Waits until a running worker has nothing left to do, requested recalculations included. For counters with
 * `recalculation: false`: those that are scheduled after writes would rest for minutes.
 */
export async function untilIdle({ counters }: Fixture): Promise<void> {
  await counters.settled();
  await until(async () => {
    const { dirty, batches, intents, recalculations } = await counters.status();
    return dirty + batches + intents + recalculations === 0;
  });
}

/** Lets a worker do all that is left to do, and expects a comparison with the truth to find nothing. */
export async function expectWorkerRight(fixture: Fixture): Promise<void> {
  const worker = await fixture.counters.startWorker();
  await untilIdle(fixture);
  await worker.close();
  expect(await fixture.counters.verify()).toMatchObject({ fixed: [], fixedCount: 0, unsettled: [] });
}
