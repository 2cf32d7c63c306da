import type { QueryRunner } from 'typeorm';

import { reachesAllSql } from './catalogue/policies';
import { literal } from './escape';
import { rowsOf } from './query';

/** Rows that are to be locked and read. */
export interface Wanted {
  /** The table, escaped. */
  readonly table: string;
  readonly columns: readonly string[];
}

/** What the present role may not lock and read. Tables are named as they were asked for. */
export interface Reach {
  readonly role: string;
  /** For lack of privileges. */
  readonly forbidden: ReadonlySet<string>;
  /** By policies: some rows, or none. */
  readonly hidden: ReadonlySet<string>;
}

/** Asks what the present role may lock and read, in the present transaction: one statement. */
export async function reachOf(runner: QueryRunner, wanted: readonly Wanted[]): Promise<Reach> {
  const rows = await rowsOf(runner, wanted.map(reachSql).join(' UNION ALL '));
  const tables = (flag: string): ReadonlySet<string> =>
    new Set(wanted.filter((_, i) => rows[i]?.[flag] !== true).map(({ table }) => table));
  return { role: String(rows[0]?.['role']), forbidden: tables('allowed'), hidden: tables('visible') };
}

function reachSql({ table, columns }: Wanted): string {
  const name = literal(table);
  const each = columns.map((column) => `has_column_privilege(${name}, ${literal(column)}, 'SELECT')`).join(' AND ');
  // FOR UPDATE asks for the privilege to change some column, and for the policies of both commands.
  const allowed = `(has_table_privilege(${name}, 'SELECT') OR (${each || 'false'})) AND has_any_column_privilege(${name}, 'UPDATE')`;
  const oid = `${name}::regclass::oid`;
  const visible = `(${reachesAllSql(oid, 'select')}) AND (${reachesAllSql(oid, 'update')})`;
  return `SELECT current_user::text AS role, ${allowed} AS allowed, ${visible} AS visible`;
}
