import type { DataSource, QueryRunner } from 'typeorm';

import type { Definitions } from '../../../model/definition';
import { CounterCacheError } from '../../../errors';
import { mayWrite, rowsOf } from '../query';
import { knownTable } from '../table-names';
import type { TablePaths } from './tables';

/** Rows that say which table a path means in this installation. */
const TABLE = 'table:';

/** What the paths of all tables mean that count, are counted in, or stand between, and exist: path → escaped name with its schema. */
export function countedTables({ entityMetadatas }: DataSource, { counters }: Definitions): ReadonlyMap<string, string> {
  const paths = new Set(
    counters.flatMap(({ source, targets }) => [
      source.tablePath,
      ...targets.flatMap(({ targetTable, path }) => [
        targetTable.tablePath,
        ...(path?.steps ?? []).map(({ metadata }) => metadata.tablePath),
      ]),
    ]),
  );
  return new Map(
    entityMetadatas.flatMap((metadata) => {
      const name = paths.has(metadata.tablePath) ? knownTable(metadata) : null;
      return name === null ? [] : [[metadata.tablePath, name]];
    }),
  );
}

/**
 * Notes which tables the paths of this process mean: targets are known by their paths, so every process of an installation
 * has to mean the same. One SELECT, unless something is new.
 *
 * @throws CounterCacheError `STATE_MISMATCH` when other processes mean another table that is still there
 */
export async function noteCountedTables(
  runner: QueryRunner,
  { state }: TablePaths,
  tables: ReadonlyMap<string, string>,
): Promise<void> {
  const [paths, names] = [[...tables.keys()], [...tables.values()]];
  const rows = await rowsOf(
    runner,
    `SELECT t.path, t.name, s."value" AS noted, to_regclass(s."value") IS NOT NULL AS exists
     FROM unnest($1::text[], $2::text[]) AS t(path, name) LEFT JOIN ${state} s ON s."id" = '${TABLE}' || t.path
     WHERE s."value" IS DISTINCT FROM t.name`,
    [paths, names],
  );
  for (const { path, name, noted, exists } of rows)
    if (exists === true) throw mismatch(String(path), String(name), String(noted));
  if (rows.length === 0 || !(await mayWrite(runner, state))) return;
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT '${TABLE}' || t.path, t.name FROM unnest($1::text[], $2::text[]) AS t(path, name)
     ORDER BY 1 ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value"`,
    [rows.map(({ path }) => path), rows.map(({ name }) => name)],
  );
}

function mismatch(path: string, found: string, expected: string): CounterCacheError {
  const reason = `expected the table ${path} to be ${expected}, as for the other processes of this installation, got: ${found}`;
  const advice =
    'Give each schema a DataSource of its own, with the option `schema`, or every process the same search_path';
  return new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, { path, expected, found });
}
