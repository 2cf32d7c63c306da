import { isEveryTarget, tableIdOf } from '../model/target';
import { CounterCacheError, NotPermittedError } from '../errors';
import { type JobContext, scheduledColumns } from '../engines/context';
import { ifPermitted, reportNotPermitted } from '../engines/permitted';
import { runTableCampaigns, startRequested } from './campaign';
import {
  FAILED_DELAY,
  type Recalculated,
  recalculateIsolating,
  type RecalculateOptions,
  UNKNOWN,
} from './recount-targets';
import { announceResults, failedTargets } from './recount-run';

/** Targets asked for at once. */
const TARGETS = 500;

/** Milliseconds after which a refused recalculation is tried again. */
const REFUSED_DELAY = 500;

/** Recalculates what is due in a shard, until the worker stops; what is refused now is put off. */
export async function recalculateDue(context: JobContext, shard: number): Promise<void> {
  const postponed = new Set<string>();
  for (;;) {
    if (context.isStopping()) return;
    const listed = await context.buffer.dueRecalculations(shard, TARGETS);
    // One round: what was put off here and is due again waits for its wake-up, however many there are.
    const due = listed.filter(({ target }) => !postponed.has(target));
    if (due.length === 0) return;
    const every = due.map(({ target }) => target).filter(isEveryTarget);
    const single = due.filter(({ target }) => !isEveryTarget(target));
    // Where a repair is requested everything may be wrong; otherwise only what is scheduled is counted.
    const repairs = single.filter(({ repair }) => repair).map(({ target }) => target);
    const plain = single.filter(({ repair }) => !repair).map(({ target }) => target);
    const results = [
      ...(await recountRequested(context, every)),
      ...(await recalculatePermitted(context, repairs, {
        columns: (targetTable) => [...targetTable.columns.values()],
        consume: true,
        dry: false,
      })),
      ...(await recalculatePermitted(context, plain, {
        columns: scheduledColumns,
        consume: true,
        dry: false,
        plain: true,
      })),
    ];
    announceResults(context, results);
    reportUncountable(context, results);
    const done = targetsOf(results, ['done', 'absent']);
    const failed = targetsOf(results, ['failed']);
    const left = due.map(({ target }) => target).filter((target) => !done.has(target));
    for (const target of left) postponed.add(target);
    const putOff = new Set(results.filter(({ isPutOff }) => isPutOff === true).map(({ target }) => target));
    const refused = left.filter((target) => !failed.has(target));
    const unhandled = [...failed].filter((target) => !putOff.has(target));
    if (refused.length > 0) await context.schedule(await context.buffer.postpone(shard, refused, REFUSED_DELAY));
    if (unhandled.length > 0) await context.schedule(await context.buffer.postpone(shard, unhandled, FAILED_DELAY));
  }
}

/** What is asked of every target of a table is asked of each of them from now on. */
async function recountRequested(context: JobContext, requests: readonly string[]): Promise<readonly Recalculated[]> {
  if (requests.length === 0) return [];
  const results = await startRequested(context, requests);
  await ifPermitted(context, () => runTableCampaigns(context));
  return results;
}

/** What this process may not see is left to another worker. */
async function recalculatePermitted(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<readonly Recalculated[]> {
  try {
    return await recalculateIsolating(context, targets, options);
  } catch (error) {
    if (!(error instanceof NotPermittedError)) throw error;
    return recountByTable(context, targets, options, error);
  }
}

/** What is hidden is so for all targets of a table: they wait for a worker that sees more, and keep no other table waiting. */
async function recountByTable(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
  error: NotPermittedError,
): Promise<readonly Recalculated[]> {
  const tableIds = new Set(targets.map(tableIdOf));
  if (tableIds.size === 1) {
    reportNotPermitted(context, error);
    return targets.map((target) => ({ target, outcome: 'failed', drifts: [], ...UNKNOWN }));
  }
  const results: Recalculated[] = [];
  for (const tableId of tableIds) {
    const group = targets.filter((target) => tableIdOf(target) === tableId);
    results.push(...(await recalculatePermitted(context, group, options)));
  }
  return results;
}

function targetsOf(results: readonly Recalculated[], outcomes: readonly Recalculated['outcome'][]): Set<string> {
  return new Set(results.filter(({ outcome }) => outcomes.includes(outcome)).map(({ target }) => target));
}

/** Reports which targets could not be recounted, and why. */
function reportUncountable(
  { events, definitions }: Pick<JobContext, 'events' | 'definitions'>,
  results: readonly Recalculated[],
): void {
  for (const failed of failedTargets(definitions, results)) {
    const { entity, id, counter, reason } = failed;
    const by = counter === undefined ? '' : ` by ${counter}`;
    const message = `${entity} ${id} cannot be recounted${by}: ${reason}`;
    events.emit('failed', failed);
    events.emit('error', new CounterCacheError('RECOUNT_FAILED', message, { entity, id, counter }));
  }
}
