import type { QueryRunner } from 'typeorm';

import { bypassSql, policySql } from './catalogue/grants';
import { hiddenTablesSql } from './catalogue/policies';
import { NotPermittedError } from '../../errors';
import { literal } from './escape';
import { type ResultRow, rowsOf, type SqlQuery } from './query';

/** Alias of the column by which a statement says what it did not see. */
const HIDDEN = '__cc_hidden';

/** Tables of which policies may hide rows from the present role. */
export interface Hidden {
  readonly role: string;
  /** Escaped, as they were asked for. */
  readonly tables: readonly string[];
}

/**
 * Asks, in the present transaction and for its present role, of which tables policies may hide rows. Tables that were
 * read before in this transaction have had the same policies since: their locks keep others from changing them.
 */
export async function hiddenTables(runner: QueryRunner, tables: readonly string[]): Promise<Hidden> {
  const [row] = await rowsOf(runner, `SELECT ${detailSql(tables)}`);
  return hiddenOf(row);
}

/** @throws NotPermittedError when policies may hide rows of one of these tables */
export async function expectAllVisible(runner: QueryRunner, tables: readonly string[]): Promise<void> {
  const hidden = await hiddenTables(runner, tables);
  if (hidden.tables.length > 0) throw hiddenRows(hidden);
}

/**
 * Runs a statement that counts what it finds, or takes for absent what it does not, and that returns at least one row. It
 * says itself whether it has seen all rows of some tables, as of its own moment and role. That costs some microseconds;
 * where policies do concern the role, it is run once more, to find out what they say.
 *
 * @param statement receives what else to select
 * @throws NotPermittedError when policies may have hidden rows
 */
export async function rowsSeen(
  runner: QueryRunner,
  tables: readonly string[],
  statement: (selected: string) => SqlQuery,
): Promise<readonly ResultRow[]> {
  const rows = await rowsOf(runner, ...statement(`${concernsSql(tables)} AS "${HIDDEN}"`));
  if (rows[0]?.[HIDDEN] !== true) return rows;
  const again = await rowsOf(runner, ...statement(detailSql(tables)));
  const hidden = hiddenOf(again[0]);
  if (hidden.tables.length > 0) throw hiddenRows(hidden);
  return again;
}

/**
 * Has the database refuse, until the transaction ends, statements from which policies would hide rows: code of users reads
 * tables that are not known. Not where policies let the role read all of these tables, and may do so with others.
 */
export async function refuseHidden(runner: QueryRunner, tables: readonly string[]): Promise<void> {
  await runner.query(
    `SELECT set_config('row_security', CASE WHEN ${concernsSql(tables)} THEN 'on' ELSE 'off' END, true)`,
  );
}

/** What was not done, since policies may have hidden rows. */
export function hiddenRows({ role, tables }: Hidden): NotPermittedError {
  const problems = tables.map((table) => hiddenProblem(table, role));
  const reason = `role ${role} may not see every row, and a hidden row would count as absent: nothing was counted`;
  return new NotPermittedError(reason, problems, { role, tables });
}

/** Names a table whose rows may be hidden from a role, and what to do. */
export function hiddenProblem(table: string, role: string): string {
  return `row security may hide rows of ${table} from role ${role}. ${bypassSql(role)}, or ${policySql(table, role)}`;
}

/** SQL that finds out, within some microseconds, whether policies of some tables concern the present role at all. */
export function concernsSql(tables: readonly string[]): string {
  return `(SELECT ${tables.map((table) => `row_security_active(${literal(table)})`).join(' OR ')})`;
}

function detailSql(tables: readonly string[]): string {
  const hidden = hiddenTablesSql(`ARRAY[${tables.map(literal).join(', ')}]::text[]`);
  return `(SELECT jsonb_build_object('role', current_user, 'tables', ${hidden})::text) AS "${HIDDEN}"`;
}

function hiddenOf(row: ResultRow | undefined): Hidden {
  return JSON.parse(String(row?.[HIDDEN])) as Hidden;
}
