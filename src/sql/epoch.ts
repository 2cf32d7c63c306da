import type { DataSource } from 'typeorm';

import { rowsOf, withTransaction } from './query';
import type { TablePaths } from './tables';

/** The SQL epochs of all shards. */
export async function readEpochs(dataSource: DataSource, tables: TablePaths): Promise<Map<number, number>> {
  const rows = await dataSource.query<{ shard: number; epoch: string }[]>(
    `SELECT "shard", "epoch" FROM ${tables.shard}`,
  );
  return new Map(rows.map(({ shard, epoch }) => [shard, Number(epoch)]));
}

/** How a shard's epochs were brought together. */
export type Adopted = 'agreed' | 'new' | 'lost';

/**
 * Brings the shard's epoch in the buffer and in SQL together, under a lock on the shard's row, so that of several
 * finders one acts. A shard that SQL has seen in use and the buffer has not has lost its data: its epoch rises in SQL
 * first, so that a batch claimed before is refused from then on.
 */
export async function adoptEpoch(
  dataSource: DataSource,
  tables: TablePaths,
  shard: number,
  buffer: { epoch(shard: number): Promise<number | null>; raiseEpoch(shard: number, epoch: number): Promise<void> },
): Promise<Adopted> {
  const raised = await withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const [row] = await rowsOf(runner, `SELECT "epoch" FROM ${tables.shard} WHERE "shard" = $1 FOR UPDATE`, [shard]);
    const inSql = Number(row?.['epoch'] ?? 0);
    const inBuffer = await buffer.epoch(shard);
    if (inBuffer === inSql) return null;
    const isNew = inSql === 0;
    const epoch = isNew ? Math.max(1, inBuffer ?? 0) : Math.max(inSql, inBuffer ?? 0) + 1;
    await runner.query(`UPDATE ${tables.shard} SET "epoch" = $2 WHERE "shard" = $1`, [shard, epoch]);
    // A new shard has no batch to refuse, and must not look lost to whoever gets the lock next.
    if (isNew) await buffer.raiseEpoch(shard, epoch);
    return { epoch, isNew };
  });
  if (raised === null) return 'agreed';
  if (raised.isNew) return 'new';
  await buffer.raiseEpoch(shard, raised.epoch);
  return 'lost';
}
