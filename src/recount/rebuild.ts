import type { QueryRunner } from 'typeorm';

import type { TargetKind } from '../model/definition';
import { CounterCacheError } from '../errors';
import { withTransaction } from '../dialects/postgres/query';
import { lockRebuilding, noteRebuilding, type RebuildCursor } from '../dialects/postgres/installation/rebuilding';
import type { JobContext } from '../engines/context';
import { requestPage } from './request-page';

/** Tells that shards lost their data. */
export function reportLost({ events }: Pick<JobContext, 'events'>, lost: readonly number[]): void {
  if (lost.length === 0) return;
  const reason = `shards ${lost.join(', ')} of the buffer lost their data, or went back in time; their targets are recalculated`;
  events.emit('error', new CounterCacheError('BUFFER_LOST', reason, { shards: lost }));
}

/** Tells that this process has given a copy of a database an installation of its own. */
export function reportCopied({ events }: Pick<JobContext, 'events'>, reason: string): void {
  const message = `this database is a copy of the one that its counters were kept for: ${reason}. What is pending elsewhere is not of this database; all targets are recalculated`;
  events.emit('error', new CounterCacheError('BUFFER_LOST', message, { reason }));
}

/**
 * Requests the recalculation, behind a barrier, of every target of shards that lost their data. How far it has come is
 * noted in SQL: whoever finds a rebuilding that its finder did not finish goes on with it.
 */
export async function rebuild(context: JobContext): Promise<void> {
  const kinds = [...context.definitions.kinds.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const step = () =>
    withTransaction(context.dataSource, 'READ COMMITTED', (runner) => rebuildPage(context, runner, kinds));
  while (!context.isStopping() && (await step()));
}

/** Requests one page of targets; false when nothing is left to do. */
async function rebuildPage(context: JobContext, runner: QueryRunner, kinds: readonly TargetKind[]): Promise<boolean> {
  const { tables } = context;
  const rebuilding = await lockRebuilding(runner, tables);
  if (rebuilding === null) return false;
  const { shards, cursor } = rebuilding;
  const kind = kinds.find(({ id }) => cursor.kind === undefined || id >= cursor.kind);
  if (kind === undefined) {
    await noteRebuilding(runner, tables, shards, null);
    return true;
  }
  const after = kind.id === cursor.kind ? (cursor.after ?? null) : null;
  const last = await requestPage(context, runner, kind, after, shards);
  await noteRebuilding(runner, tables, shards, nextCursor(kinds, kind, last));
  return true;
}

function nextCursor(
  kinds: readonly TargetKind[],
  kind: TargetKind,
  after: readonly string[] | null,
): RebuildCursor | null {
  if (after !== null) return { kind: kind.id, after };
  const next = kinds[kinds.indexOf(kind) + 1];
  return next === undefined ? null : { kind: next.id };
}
