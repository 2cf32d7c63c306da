import type { DataSource } from 'typeorm';

import { rowsOf, withConnection, withTransaction } from '../query';
import { START } from './campaigns';
import type { TablePaths } from './tables';

/** What SQL says of one shard. */
export interface ShardRow {
  readonly epoch: number;
  /** The shard lost its data, and the recounts of its targets are not all requested yet. */
  readonly isRebuilding: boolean;
}

/** All shards, as SQL knows them. */
export async function readShards(dataSource: DataSource, tables: TablePaths): Promise<Map<number, ShardRow>> {
  const rows = await withConnection(dataSource, (runner) =>
    rowsOf(runner, `SELECT "shard", "epoch", "rebuilding" FROM ${tables.shard}`),
  );
  return new Map(
    rows.map((row) => [
      Number(row['shard']),
      { epoch: Number(row['epoch']), isRebuilding: row['rebuilding'] !== null },
    ]),
  );
}

/**
 * Compares the buffer's incarnation with the one that SQL knows. At another one, every shard's epoch rises in SQL, so that
 * all of them are found lost; nothing else needs to be remembered.
 */
export async function adoptIncarnation(dataSource: DataSource, tables: TablePaths, incarnation: string): Promise<void> {
  const state = `${tables.state} WHERE "id" = 'incarnation'`;
  const [known] = await withConnection(dataSource, (runner) => rowsOf(runner, `SELECT "value" FROM ${state}`));
  if (known?.['value'] === incarnation) return;
  await withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const insert = `INSERT INTO ${tables.state} ("id", "value") VALUES ('incarnation', $1)`;
    const inserted = await rowsOf(runner, `${insert} ON CONFLICT DO NOTHING RETURNING "id"`, [incarnation]);
    if (inserted.length > 0) return;
    const [row] = await rowsOf(runner, `SELECT "value" FROM ${state} FOR UPDATE`);
    if (row?.['value'] === incarnation) return;
    await runner.query(`UPDATE ${tables.shard} SET "epoch" = "epoch" + 1 WHERE "epoch" > 0`);
    await runner.query(`UPDATE ${tables.state} SET "value" = $1 WHERE "id" = 'incarnation'`, [incarnation]);
  });
}

/** How a shard's epochs were brought together. */
export type Adopted = 'agreed' | 'new' | 'lost';

/**
 * Brings the shard's epoch in the buffer and in SQL together, under a lock on the shard's row, so that of several
 * finders one acts. A shard that SQL has seen in use and the buffer has not has lost its data: its epoch rises in SQL
 * first, so that a batch claimed before is refused from then on, and its rebuilding is noted with it.
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
    await runner.query(
      `UPDATE ${tables.shard} SET "epoch" = $2${isNew ? '' : `, "rebuilding" = '${START}'`} WHERE "shard" = $1`,
      [shard, epoch],
    );
    // A new shard has no batch to refuse, and must not look lost to the process that gets the lock next.
    if (isNew) await buffer.raiseEpoch(shard, epoch);
    return { epoch, isNew };
  });
  if (raised === null) return 'agreed';
  if (raised.isNew) return 'new';
  await buffer.raiseEpoch(shard, raised.epoch);
  return 'lost';
}
