import type { DataSource, QueryRunner } from 'typeorm';

import { rowsOf, withTransaction } from '../query';
import { RECOUNT } from './campaigns';
import { createState, readId } from './state';
import { createTablesSql, type TablePaths } from './tables';

/** Creates those of the library's tables that are missing. */
export async function createMissingTables(runner: QueryRunner, tables: TablePaths): Promise<void> {
  const { state, shard, ledger, outbox } = tables;
  const [row] = await rowsOf(
    runner,
    `SELECT EXISTS (SELECT 1 FROM unnest($1::text[]) AS t(path) WHERE to_regclass(t.path) IS NULL) AS missing`,
    [[state, shard, ledger, outbox]],
  );
  // Asked first: with IF NOT EXISTS, too, it needs a privilege on the schema.
  if (row?.['missing'] === true) await runner.query(createTablesSql(tables));
}

/**
 * Puts an installation back whose tables were dropped or emptied.
 *
 * @returns the id of the installation that is there now: another one, when another process was faster
 */
export function restoreInstallation(
  dataSource: DataSource,
  tables: TablePaths,
  { id, shards }: { readonly id: string; readonly shards: number },
): Promise<string> {
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    await createMissingTables(runner, tables);
    await createState(runner, tables, shards, id);
    return readId(runner, tables);
  });
}

/** What has to be forgotten together with the tables' rows. */
interface Clearable {
  readonly shards: number;
  epoch(shard: number): Promise<number | null>;
  clear(shard: number, epoch: number): Promise<void>;
}

/**
 * Forgets everything that waits, in SQL and in the buffer: deltas, batches, requests. Epochs rise, so that a batch that was
 * claimed before is refused. Shards stay locked until the buffer has the same epochs: no process finds them lost.
 */
export async function clearInstallation(dataSource: DataSource, tables: TablePaths, buffer: Clearable): Promise<void> {
  await withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
    await runner.query(`SELECT 1 FROM ${tables.shard} ORDER BY "shard" FOR UPDATE`);
    const known = await Promise.all(shards.map(async (shard) => (await buffer.epoch(shard)) ?? 0));
    const raised = await rowsOf(
      runner,
      `UPDATE ${tables.shard} AS s SET "epoch" = GREATEST(s."epoch", k.epoch) + 1, "rebuilding" = NULL
       FROM unnest($1::integer[], $2::bigint[]) AS k(shard, epoch) WHERE s."shard" = k.shard RETURNING s."shard", s."epoch"`,
      [shards, known],
    );
    await runner.query(`DELETE FROM ${tables.outbox}`);
    await runner.query(`DELETE FROM ${tables.ledger}`);
    await runner.query(`DELETE FROM ${tables.state} WHERE starts_with("id", '${RECOUNT}')`);
    await Promise.all(raised.map((row) => buffer.clear(Number(row['shard']), Number(row['epoch']))));
  });
}
