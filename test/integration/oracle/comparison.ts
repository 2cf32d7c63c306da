import { CounterCacheError } from 'typeorm-counter-cache';

import type { Run } from './run-options';
import type { WrongColumn } from './truth';

/** Every counter column of every schema that is not what SQL counts. */
export async function findWrong({ sql, wrongSql, surroundings: { schemas } }: Run): Promise<WrongColumn[]> {
  const wrong: WrongColumn[] = [];
  for (const schema of schemas) {
    if (schemas.length > 1) await sql.query(`SET search_path TO ${schema}`);
    const { rows } = await sql.query<WrongColumn>(wrongSql);
    wrong.push(...rows.map((row) => (schema === 'public' ? row : { ...row, target: `${schema}.${row.target}` })));
  }
  return wrong;
}

/**
 * Applies what is pending, and compares. A target may be wrong only where the library itself has asked for its
 * recalculation (its key was given by the caller, a write came after its COMMIT); what a worker would do then is done here.
 */
export async function expectTruth(run: Run): Promise<void> {
  const { fixture, requests, tally } = run;
  const { counters, errors } = fixture;
  // What others have committed, they hand over in their own time.
  for (const writer of run.surroundings.writers) await writer.counters?.settled();
  await counters.flush();
  if (run.mode === 'sequential') await run.surroundings.onApplied(() => findWrong(run));
  const requested = await requests.find();
  const wrong = await findWrong(run);
  refuse(
    'drift',
    wrong.filter((column) => !requests.includes(column)),
  );
  if (requested > 0) await requests.fulfil();
  if (wrong.length > 0) {
    tally.add('columns wrong until the recalculation asked for', wrong.length);
    await counters.flush();
    refuse('drift after the recalculation that was asked for', await findWrong(run));
  }
  const { mayReport } = run.surroundings;
  expect(errors.filter((error) => !(error instanceof CounterCacheError && mayReport.includes(error.code)))).toEqual([]);
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
