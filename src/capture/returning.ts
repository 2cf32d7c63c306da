import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { escapeName } from '../sql/escape';
import type { TablePlan } from './plan';
import type { WriteBuilder, WriteResult } from './write-builder';

/** What a write did to one row; `null` where the row did not exist before, or does not any more. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** What a statement returned about the rows it changed. */
export interface Returned {
  readonly result: WriteResult;
  readonly changes: readonly RowChange[];
  /** Per change of an insert that returned `row`: whether the row was inserted, or an upsert updated it. */
  readonly inserted: readonly boolean[];
  /** The database's id of the transaction; `null` when no row was changed. */
  readonly transactionId: string | null;
}

/** Which versions of a row to return: `OLD` and `NEW` need PostgreSQL 18. */
export type Versions = 'row' | 'old-and-new';

const PREFIX = '__cc_';
const NEW = `${PREFIX}n`;
const OLD = `${PREFIX}o`;
const XID = `${PREFIX}x`;
const INSERTED = `${PREFIX}i`;

/**
 * Executes a write with our columns added to its RETURNING clause, and takes them out of the result again. Every added
 * column has an alias of ours, so that TypeORM's own mapping of returned columns is not disturbed.
 */
export async function executeReturning(
  builder: WriteBuilder,
  plan: TablePlan,
  versions: Versions,
  execute: () => Promise<WriteResult>,
): Promise<Returned> {
  const { queryType, returning } = builder.expressionMap;
  let others = false;
  builder.createReturningExpression = function (type): string {
    const base = (Object.getPrototypeOf(this) as WriteBuilder).createReturningExpression.call(this, type);
    others = base !== '';
    return `${versions === 'old-and-new' ? `WITH (OLD AS ${OLD}, NEW AS ${NEW}) ` : ''}${[base, ...addedColumns(plan, versions, queryType)].filter(Boolean).join(', ')}`;
  };
  let result: WriteResult;
  try {
    result = await execute();
  } finally {
    delete (builder as Partial<WriteBuilder>).createReturningExpression;
  }
  const rows = Array.isArray(result.raw) ? (result.raw as Record<string, unknown>[]) : [];
  const changes = rows.map((row) => changeOf(row, plan, versions, queryType));
  const inserted = rows.map((row) => row[INSERTED] === true);
  const transactionId = rows[0] === undefined ? null : String(rows[0][XID]);
  for (const row of rows) for (const name of Object.keys(row)) if (name.startsWith(PREFIX)) delete row[name];
  // Without a RETURNING clause of the caller's there were no rows.
  if (!others && !returning) result.raw = [];
  return { result, changes, inserted, transactionId };
}

function addedColumns(plan: TablePlan, versions: Versions, queryType: string): string[] {
  const column = (version: string) => (name: string, i: number) =>
    `${versions === 'old-and-new' ? `${version}.` : ''}${escapeName(name)} AS ${escapeName(`${version}${i}`)}`;
  return [
    ...plan.columns.map(column(NEW)),
    ...(versions === 'old-and-new' ? plan.columns.map(column(OLD)) : []),
    ...(queryType === 'insert' && versions === 'row' ? [`(xmax = 0) AS ${escapeName(INSERTED)}`] : []),
    // CAST, not `::`: TypeORM would take `:text` for a parameter of that name.
    `CAST(pg_current_xact_id() AS text) AS ${escapeName(XID)}`,
  ];
}

function changeOf(row: Record<string, unknown>, plan: TablePlan, versions: Versions, queryType: string): RowChange {
  const version = (prefix: string): Row | null => {
    // All columns of a version that does not exist are NULL, and a primary key never is.
    const values: Row = Object.fromEntries(plan.columns.map((name, i) => [name, row[`${prefix}${i}`]]));
    return plan.primaryKey.every((name) => values[name] === null) ? null : values;
  };
  if (versions === 'old-and-new') return { before: version(OLD), after: version(NEW) };
  const after = version(NEW);
  return queryType === 'delete' ? { before: after, after: null } : { before: null, after };
}

/** The rows a statement is about to change, locked, with the id of the transaction. */
export async function lockRows(
  runner: QueryRunner,
  plan: TablePlan,
  source: string,
  parameters: readonly unknown[],
): Promise<{ readonly rows: readonly Row[]; readonly transactionId: string | null }> {
  const columns = plan.columns.map((name, i) => `${escapeName(name)} AS ${escapeName(`${NEW}${i}`)}`);
  const sql = `SELECT ${[...columns, `pg_current_xact_id()::text AS ${escapeName(XID)}`].join(', ')} ${source} FOR UPDATE`;
  const records = (await runner.query(sql, [...parameters], true)).records as readonly Record<string, unknown>[];
  return {
    rows: records.map((record) => Object.fromEntries(plan.columns.map((name, i) => [name, record[`${NEW}${i}`]]))),
    transactionId: records[0] === undefined ? null : String(records[0][XID]),
  };
}
