import { kindIdOf } from '../model/target';
import { noteIdleRecounts } from '../dialects/postgres/installation/definitions';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import { readHorizon } from '../dialects/postgres/snapshot';
import { type JobContext, kindOf } from '../engines/context';
import { type Recalculated, UNKNOWN } from './recount-targets';
import { Watches } from './watches';

/**
 * Answers requests for every target of a kind, once their barriers have passed: notes the recount of the kind, whose pages
 * are requested from then on. One that is under way has to end first.
 */
export async function recountEvery(context: JobContext, requests: readonly string[]): Promise<readonly Recalculated[]> {
  const { buffer, dataSource, tables, definitions, schedule } = context;
  const known = requests.filter((request) => kindOf(definitions, request) !== undefined);
  if (known.length === 0) return [];
  const horizon = await withConnection(dataSource, readHorizon);
  const watches = await Watches.put(buffer, known, { horizon, plain: false });
  const noted = await watches.during(() =>
    withTransaction(dataSource, 'READ COMMITTED', (runner) =>
      noteIdleRecounts(runner, tables, watches.watched.map(kindIdOf)),
    ),
  );
  // As if the row were absent: nothing is pending for it, and the request is fulfilled.
  const recounts = watches.watched
    .filter((request) => noted.has(kindIdOf(request)))
    .map((target) => ({ target, missing: null, rearmIn: null }));
  const snapshot = { xmin: horizon, xmax: horizon, inProgress: [] };
  const { outcomes } = await watches.finalize(snapshot, recounts, { consume: true, dry: false }, schedule);
  await watches.end();
  const done = new Set(outcomes.filter(({ standing }) => standing).map(({ target }) => target));
  return known.map((target) => ({ target, outcome: done.has(target) ? 'absent' : 'refused', drifts: [], ...UNKNOWN }));
}
