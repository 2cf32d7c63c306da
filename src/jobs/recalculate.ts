import { byShard, shardOf } from '../buffer/shard';
import { CounterCacheError, NotPermittedError } from '../errors';
import { isEveryTarget, kindIdOf } from '../counter/target';
import { withConnection } from '../sql/query';
import { readHorizon } from '../sql/snapshot';
import { describeTarget, type JobContext, scheduledColumns } from './context';
import { ifPermitted, reportNotPermitted } from './permitted';
import { recountChanged } from './recount-changed';
import { recountEvery } from './recount-every';
import { type Recalculated, type RecalculateOptions, recalculateTargets, UNKNOWN } from './recount-targets';

/** Targets asked for at once. */
const TARGETS = 500;

/** Milliseconds after which a refused recalculation is tried again. */
const REFUSED_DELAY = 500;

/** Milliseconds after which a recount that failed by itself (a `method` that throws, say) is tried again. */
const FAILED_DELAY = 60_000;

/** Recalculates what is due in a shard, until the worker stops; what is refused now is put off. */
export async function recalculateDue(context: JobContext, shard: number): Promise<void> {
  const postponed = new Set<string>();
  for (;;) {
    if (context.isStopping()) return;
    const listed = await context.buffer.dueRecalculations(shard, TARGETS);
    // One round: what was put off here and is due again waits for its alarm, however many there are.
    const due = listed.filter(({ target }) => !postponed.has(target));
    if (due.length === 0) return;
    // Behind a barrier everything may be wrong; otherwise only what is scheduled is counted.
    const every = due.map(({ target }) => target).filter(isEveryTarget);
    const single = due.filter(({ target }) => !isEveryTarget(target));
    const heal = single.filter((one) => one.heal).map(({ target }) => target);
    const plain = single.filter((one) => !one.heal).map(({ target }) => target);
    const results = [
      ...(await recountKinds(context, every)),
      ...(await recalculateIsolating(context, heal, {
        columns: (kind) => [...kind.columns.values()],
        consume: true,
        dry: false,
      })),
      ...(await recalculateIsolating(context, plain, {
        columns: scheduledColumns,
        consume: true,
        dry: false,
        plain: true,
      })),
    ];
    announceResults(context, results);
    const done = targetsOf(results, ['done', 'absent']);
    const failed = targetsOf(results, ['failed']);
    const left = due.map(({ target }) => target).filter((target) => !done.has(target));
    for (const target of left) postponed.add(target);
    const refused = left.filter((target) => !failed.has(target));
    if (refused.length > 0) await context.schedule(await context.buffer.postpone(shard, refused, REFUSED_DELAY));
    if (failed.size > 0) await context.schedule(await context.buffer.postpone(shard, [...failed], FAILED_DELAY));
  }
}

/** What is asked of every target of a kind is asked of each of them from now on. */
async function recountKinds(context: JobContext, requests: readonly string[]): Promise<readonly Recalculated[]> {
  if (requests.length === 0) return [];
  const results = await recountEvery(context, requests);
  await ifPermitted(context, () => recountChanged(context));
  return results;
}

function targetsOf(results: readonly Recalculated[], outcomes: readonly Recalculated['outcome'][]): Set<string> {
  return new Set(results.filter(({ outcome }) => outcomes.includes(outcome)).map(({ target }) => target));
}

/** Halves the targets until those whose recount fails stand alone: one must not keep a worker from the others (I4). */
async function recalculateIsolating(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
): Promise<readonly Recalculated[]> {
  try {
    return await recalculateTargets(context, targets, options);
  } catch (error) {
    if (error instanceof NotPermittedError) return recalculateKindwise(context, targets, options, error);
    // Without SQL or the buffer nothing could be told apart: this throws then, and the job is retried.
    const [first = ''] = targets;
    const epoch = context.buffer.epoch(shardOf(first, context.buffer.shards));
    await Promise.all([withConnection(context.dataSource, readHorizon), epoch]);
    if (targets.length === 1) return [cannotRecount(context, first, error)];
    const middle = Math.ceil(targets.length / 2);
    return [
      ...(await recalculateIsolating(context, targets.slice(0, middle), options)),
      ...(await recalculateIsolating(context, targets.slice(middle), options)),
    ];
  }
}

/** What is hidden is so for all targets of a kind: they wait for a worker that sees more, and keep no other kind waiting. */
async function recalculateKindwise(
  context: JobContext,
  targets: readonly string[],
  options: RecalculateOptions,
  error: NotPermittedError,
): Promise<readonly Recalculated[]> {
  const kinds = new Set(targets.map(kindIdOf));
  if (kinds.size === 1) {
    reportNotPermitted(context, error);
    return targets.map((target) => ({ target, outcome: 'failed', drifts: [], ...UNKNOWN }));
  }
  const results: Recalculated[] = [];
  for (const kind of kinds) {
    const group = targets.filter((target) => kindIdOf(target) === kind);
    results.push(...(await recalculateIsolating(context, group, options)));
  }
  return results;
}

function cannotRecount({ events, definitions }: JobContext, target: string, cause: unknown): Recalculated {
  const { entity, id } = describeTarget(definitions, target);
  const reason = cause instanceof Error ? cause.message : String(cause);
  events.emit(
    'error',
    new CounterCacheError(
      'RECOUNT_FAILED',
      `${entity} ${id} cannot be recounted: ${reason}`,
      { entity, id },
      { cause },
    ),
  );
  return { target, outcome: 'failed', drifts: [], ...UNKNOWN };
}

/** Emits what a recalculation found, shard by shard. */
export function announceResults({ events, buffer }: JobContext, results: readonly Recalculated[]): void {
  for (const [shard, group] of byShard(results, ({ target }) => target, buffer.shards)) {
    const checked = group.filter(({ outcome }) => outcome === 'done').length;
    const drifts = group.flatMap((result) => result.drifts);
    if (drifts.length > 0) events.emit('drift', { drifts });
    if (checked > 0) events.emit('recalculated', { shard, checked, fixed: drifts.length });
  }
}
