import type { FindOptionsWhere, ObjectLiteral, QueryRunner } from 'typeorm';

import type { Snapshot } from '../../../model/pending';
import { parseDecimal } from '../../../model/amount';
import type { CounterColumn, TargetTable } from '../../../model/definition';
import { sqlTypeOf } from '../../../model/sql-type';
import { keyText } from '../../../model/target';
import { escapeForBuilder, escapeName, escapePath } from '../escape';
import { amongKeys } from '../keys';
import { rowsOf } from '../query';
import { parseSnapshot } from '../snapshot';

/** Which rows without a key to look at. */
export interface KeylessLook {
  readonly targetTable: TargetTable;
  readonly columns: readonly CounterColumn[];
  readonly where: FindOptionsWhere<ObjectLiteral> | null;
}

/** A row whose key is NULL, though a column of it is not 0. */
export interface KeylessRow {
  readonly primaryKey: readonly string[];
  /** In the order of the columns, in scaled units. */
  readonly values: readonly bigint[];
}

/** Rows changed in one statement. */
const ROWS = 1_000;

/** Whether rows of a target table may have no key. */
export function mayLackKey({ keys, metadata }: TargetTable): boolean {
  return keys.some(({ name }) => metadata.primaryColumns.every(({ databaseName }) => databaseName !== name));
}

/** The rows of a target table whose key is NULL, and whose columns are not all 0. */
export async function readKeyless(
  runner: QueryRunner,
  { targetTable, columns, where }: KeylessLook,
): Promise<{ readonly rows: readonly KeylessRow[]; readonly snapshot: Snapshot }> {
  const [moment] = await rowsOf(runner, 'SELECT pg_current_snapshot()::text AS snapshot');
  const query = runner.manager
    .createQueryBuilder<ObjectLiteral>(targetTable.metadata.target as never, 't')
    .withDeleted()
    .select([]);
  if (where !== null) query.where(where);
  const named = (name: string): string => `t.${escapeForBuilder(name)}`;
  const { primaryColumns } = targetTable.metadata;
  primaryColumns.forEach(({ databaseName }, i) => query.addSelect(named(databaseName), `k${i}`));
  columns.forEach(({ name }, i) => query.addSelect(`CAST(COALESCE(${named(name)}, 0) AS text)`, `c${i}`));
  query.andWhere(`(${wrongKeyless(targetTable, columns, named)})`);
  const rows = await query.getRawMany<Record<string, unknown>>();
  return {
    snapshot: parseSnapshot(String(moment?.['snapshot'])),
    rows: rows.map((row) => ({
      primaryKey: primaryColumns.map((_, i) => keyText(row[`k${i}`]) ?? ''),
      values: columns.map(({ scale }, i) => parseDecimal(String(row[`c${i}`]), scale)),
    })),
  };
}

/** Sets the columns of these rows to 0, as far as they still have no key; whether none was left because it is locked. */
export async function clearKeyless(
  runner: QueryRunner,
  look: KeylessLook,
  rows: readonly KeylessRow[],
): Promise<boolean> {
  let isDone = true;
  for (let at = 0; at < rows.length; at += ROWS)
    isDone = (await clearSome(runner, look, rows.slice(at, at + ROWS))) && isDone;
  return isDone;
}

async function clearSome(
  runner: QueryRunner,
  { targetTable, columns }: KeylessLook,
  rows: readonly KeylessRow[],
): Promise<boolean> {
  const { metadata, tablePath } = targetTable;
  const { driver } = metadata.dataSource;
  const names = metadata.primaryColumns.map(({ databaseName }) => escapeName(databaseName));
  const types = metadata.primaryColumns.map((column) => sqlTypeOf(column, driver));
  const table = escapePath(tablePath);
  const wanted = `${amongKeys(names, types)} AND (${wrongKeyless(targetTable, columns, escapeName)})`;
  const arrays = names.map((_, i) => rows.map(({ primaryKey }) => primaryKey[i]));
  // Locked first, in a subquery that the condition is checked again for: no other transaction is waited for.
  await runner.query(
    `UPDATE ${table} SET ${columns.map(({ name }) => `${escapeName(name)} = 0`).join(', ')}
     WHERE (${names.join(', ')}) IN (SELECT ${names.join(', ')} FROM ${table} WHERE ${wanted} FOR NO KEY UPDATE SKIP LOCKED)`,
    arrays,
  );
  const left = await rowsOf(runner, `SELECT 1 FROM ${table} WHERE ${wanted} LIMIT 1`, arrays);
  return left.length === 0;
}

function wrongKeyless(
  { keys }: TargetTable,
  columns: readonly CounterColumn[],
  escape: (name: string) => string,
): string {
  const keyless = keys.map(({ name }) => `${escape(name)} IS NULL`).join(' OR ');
  const wrong = columns.map(({ name }) => `COALESCE(${escape(name)}, 0) <> 0`).join(' OR ');
  return `(${keyless}) AND (${wrong === '' ? 'FALSE' : wrong})`;
}
