import { hasRecounts, lockRecount, noteRecount } from '../dialects/postgres/installation/definitions';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import type { JobContext } from '../engines/context';
import { requestPage } from './request-page';

/**
 * Requests the recalculation of every target of the kinds that are noted for it, since the definition of one of their
 * columns has changed. How far it has come is noted in SQL: whoever sweeps next goes on where another died.
 */
export async function recountChanged(context: JobContext): Promise<void> {
  const { dataSource, tables, definitions } = context;
  const ids = [...definitions.kinds.keys()];
  if (!(await withConnection(dataSource, (runner) => hasRecounts(runner, tables, ids)))) return;
  while (!context.isStopping() && (await recountPage(context, ids)));
}

/** Requests one page of targets; false when nothing is left to do. */
function recountPage(context: JobContext, ids: readonly string[]): Promise<boolean> {
  const { dataSource, tables, definitions, buffer } = context;
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const noted = await lockRecount(runner, tables, ids);
    const kind = noted === null ? undefined : definitions.kinds.get(noted.kind);
    if (noted === null || kind === undefined) return false;
    const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
    const after = await requestPage(context, runner, kind, noted.after, shards);
    await noteRecount(runner, tables, kind.id, after);
    return true;
  });
}
