import type { QueryResult, QueryRunner } from 'typeorm';

import type { Row } from '../model/definition';
import { sqlTypeOf } from '../model/sql-type';
import { CounterCacheError } from '../errors';
import { escapeForBuilder, escapeName, escapePath } from '../dialects/postgres/escape';
import { amongKeys } from '../dialects/postgres/keys';
import type { SqlQuery } from '../dialects/postgres/query';
import { undoSavepoint } from '../dialects/postgres/savepoint';
import { tableSql } from '../dialects/postgres/table-names';
import { type TablePlan, writesKey } from './plan';
import { lockRows, type Returned } from './returning';
import { keyOf, textOf } from '../typeorm/row-text';
import { send, type Statement } from './statement';
import { hasWritingTables, type WriteBuilder } from '../typeorm/write-builder';

/** How often a statement is tried again because rows appeared that it changes and that were not locked. */
export const ATTEMPTS = 10;

/** Between the parts of a statement whose parameters are numbered together. */
const SEPARATOR = '/* counter_cache */';

const SAVEPOINT = 'counter_cache_locked';

/** Sends a statement that changes the locked rows and no others; `taken` receives what it returned. */
export type SendLocked = (taken: (returned: Returned) => void) => Promise<QueryResult>;

/** Which rows a statement changes, beside those that were locked. */
interface LockOptions {
  /**
   * Whether all rows that it changes can be locked; otherwise it is sent as it is, and may change others.
   *
   * @defaultValue true
   */
  readonly locksAll?: boolean;
}

/**
 * Locks and reads the rows that a statement is about to change, and has `work` send it, so that it changes exactly those.
 *
 * @throws CounterCacheError `WRITE_FAILED` when other rows matched again and again
 */
export async function onLockedRows(
  statement: Statement,
  work: (rows: readonly Row[], sendLocked: SendLocked) => Promise<QueryResult>,
  { locksAll = true }: LockOptions = {},
): Promise<QueryResult> {
  const { runner, builder, plan, sql, parameters } = statement;
  const isWriting = hasWritingTables(builder);
  if (isWriting && !(writesKey(plan, builder) && statement.returning.versions === 'row'))
    return onProbed(statement, work, locksAll);
  const rows = isWriting ? await probeMatching(statement) : await lockRows(runner, plan, ...matching(builder, plan));
  const query: SqlQuery = locksAll ? restrict(statement, rows) : [sql, [...parameters]];
  return work(rows, (taken) => send(statement, query, taken));
}

/** The statement with a condition that names the locked rows. */
function restrict({ builder, plan }: Statement, rows: readonly Row[]): SqlQuery {
  const { expressionMap } = builder;
  const { wheres } = expressionMap;
  const condition = rows.length === 0 ? '1 = 0' : keyCondition(builder, plan, rows);
  expressionMap.wheres = [{ type: 'simple', condition }];
  try {
    return builder.getQueryAndParameters();
  } finally {
    expressionMap.wheres = wheres;
  }
}

/** Locks the matching rows where telling which they are changes others: that is rolled back. */
async function probeMatching({ runner, builder, plan }: Statement): Promise<readonly Row[]> {
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  const rows = await lockRows(runner, plan, ...matching(builder, plan));
  await undoSavepoint(runner, SAVEPOINT);
  return rows.length === 0 ? rows : lockByKey(runner, plan, plan.primaryKey, rows);
}

/** Thrown where a statement changed other rows than those that were locked. */
const OTHERS = new Error('other rows matched');

/**
 * The same where a common table expression changes rows, which the condition may look at: the statement itself, as it is,
 * shows which rows it changes, and is rolled back until all of them were locked before. What stands before it is done once.
 */
async function onProbed(
  statement: Statement,
  work: (rows: readonly Row[], sendLocked: SendLocked) => Promise<QueryResult>,
  locksAll: boolean,
): Promise<QueryResult> {
  const { runner, plan, sql, parameters } = statement;
  let rows: readonly Row[] = [];
  /** Those that it changes, as far as is known: where not all of them can be locked, more than were locked. */
  let expected: readonly Row[] = [];
  let changed: readonly Row[] = [];
  const sendLocked: SendLocked = async (taken) => {
    const answer = await send(statement, [sql, [...parameters]], (returned) => {
      changed = returned.changes.flatMap(({ before, after }) => {
        const row = before ?? after;
        return row === null ? [] : [row];
      });
      if (areSame(plan, expected, changed)) taken(returned);
    });
    if (!areSame(plan, expected, changed)) throw OTHERS;
    return answer;
  };
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const answer = await work(rows, sendLocked);
      await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
      return answer;
    } catch (error) {
      if (error !== OTHERS) throw error;
    }
    await runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
    rows = changed.length === 0 ? [] : await lockByKey(runner, plan, plan.primaryKey, changed);
    expected = locksAll ? rows : changed;
  }
  await undoSavepoint(runner, SAVEPOINT);
  throw metOthers('a write', plan);
}

function areSame({ primaryKey }: TablePlan, left: readonly Row[], right: readonly Row[]): boolean {
  const keys = new Set(left.map((row) => keyOf(primaryKey, row)));
  return left.length === right.length && right.every((row) => keys.has(keyOf(primaryKey, row)));
}

export function metOthers(what: string, { metadata: { name } }: TablePlan): CounterCacheError {
  const reason = `${what} of ${name} met new matching rows ${ATTEMPTS} times in a row; nothing was written. Try it again`;
  return new CounterCacheError('WRITE_FAILED', reason, { entity: name });
}

/** Locks and reads the rows that have the same values in these columns. */
export async function lockByKey(
  runner: QueryRunner,
  plan: TablePlan,
  names: readonly string[],
  keys: readonly Row[],
): Promise<readonly Row[]> {
  const { driver } = plan.metadata.dataSource;
  const types = names.map((name) => {
    const column = plan.metadata.findColumnWithDatabaseName(name);
    return column === undefined ? 'text' : sqlTypeOf(column, driver);
  });
  const arrays = names.map((name) => keys.map((row) => textOf(row, name)));
  const source = `FROM ${tableSql(plan.metadata)} WHERE ${amongKeys(names.map(escapeName), types)}`;
  return lockRows(runner, plan, source, arrays);
}

/** `FROM … WHERE …` of the rows that a builder is about to change, with its parameters and what stands before SELECT. */
function matching(builder: WriteBuilder, plan: TablePlan): [string, unknown[], string] {
  const { driver } = builder.dataSource;
  const escape = (sql: string): [string, unknown[]] =>
    driver.escapeQueryWithParameters(builder.replacePropertyNamesForTheWholeQuery(sql), builder.getParameters());
  const from = `FROM ${escapePath(plan.metadata.tablePath)}${builder.createWhereExpression()}`;
  const [sql, parameters] = escape(`${builder.createCteExpression?.() ?? ''}${SEPARATOR}${from}`);
  const [common = '', source = ''] = sql.split(SEPARATOR);
  return [source, parameters, common];
}

/** A condition that names the locked rows by their primary key. */
function keyCondition(builder: WriteBuilder, plan: TablePlan, rows: readonly Row[]): string {
  const { driver } = builder.dataSource;
  const columns = plan.metadata.primaryColumns;
  columns.forEach(({ databaseName }, i) =>
    builder.setParameter(
      `__cc_k${i}`,
      rows.map((row) => textOf(row, databaseName)),
    ),
  );
  // CAST, not `::`: TypeORM would take `:text` for a parameter of that name.
  const typed = columns.map((column, i) => `CAST(w.k${i} AS ${sqlTypeOf(column, driver)})`).join(', ');
  const arrays = columns.map((_, i) => `CAST(:__cc_k${i} AS text[])`).join(', ');
  return `(${columns.map(({ databaseName }) => escapeForBuilder(databaseName)).join(', ')}) IN (SELECT ${typed} FROM unnest(${arrays}) AS w(${columns.map((_, i) => `k${i}`).join(', ')}))`;
}
