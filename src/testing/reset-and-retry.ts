import type { Counters } from '../counters';
import { TablesEmptiedError } from '../dialects/postgres/apply/ledger';
import { UNDEFINED_TABLE } from '../dialects/postgres/installation/state';
import { internalsOf } from '../internals';
import { recountRun } from '../recount/recount-run';
import { reset } from './reset';

/**
 * For work that failed since the library's tables were emptied or dropped, and without a call of `reset()`: does that, recounts
 * everything, since what waited is lost, and tries again.
 *
 * @throws the error, if it is another one; what the second attempt throws
 */
export async function resetAndRetry<T>(counters: Counters, error: unknown, again: () => Promise<T>): Promise<T> {
  if (!(error instanceof TablesEmptiedError) && (error as { code?: unknown }).code !== UNDEFINED_TABLE) throw error;
  await reset(counters);
  const { context } = await internalsOf(counters).opening.open();
  await recountRun(context, {}, false);
  return again();
}
