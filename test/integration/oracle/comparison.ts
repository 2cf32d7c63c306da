import type { Run } from './run-options';
import { findWrong, type WrongColumn } from './truth';

/**
 * Applies what is pending, and compares. A target may be wrong only where the library itself has asked for its
 * recalculation (its key was given by the caller, a write came after its COMMIT); what a worker would do then is done here.
 */
export async function expectTruth({ fixture, requests, tally }: Run): Promise<void> {
  const { counters, dataSource, errors } = fixture;
  await counters.flush();
  const requested = await requests.find();
  const wrong = await findWrong(dataSource);
  refuse(
    'drift',
    wrong.filter(({ target, id }) => !requests.includes(target, id)),
  );
  if (requested > 0) await requests.fulfil();
  if (wrong.length > 0) {
    tally.add('columns wrong until the recalculation asked for', wrong.length);
    await counters.flush();
    refuse('drift after the recalculation that was asked for', await findWrong(dataSource));
  }
  expect(errors).toEqual([]);
}

/** Nothing is left, and a recount of everything has nothing to correct. */
export async function expectQuiet({ fixture: { counters } }: Run): Promise<void> {
  expect(await counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0, failed: [] });
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, fixed: [], unsettled: [] });
}

function refuse(reason: string, wrong: readonly WrongColumn[]): void {
  if (wrong.length === 0) return;
  throw new Error([`${reason}:`, ...wrong.map((column) => `  ${JSON.stringify(column)}`)].join('\n'));
}
