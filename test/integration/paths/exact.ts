import type { Fixture } from '../../support/setup';
import { untilIdle } from '../idle';
import type { Internals } from '../internals';

/** Runs a worker until idle, then compares every target with its truth through `verify` (recount by SQL). */
export async function wrongOnceIdle(fixture: Fixture, internals: Internals): Promise<unknown> {
  const worker = fixture.worker ?? (await fixture.counters.startWorker());
  await untilIdle(fixture, internals);
  if (fixture.worker === null) await worker.close();
  const { fixed, unsettled } = await fixture.counters.verify();
  return { fixed: fixed.map(({ id, column, wrong, right }) => ({ id, column, wrong, right })), unsettled };
}

export const EXACT = { fixed: [], unsettled: [] };
