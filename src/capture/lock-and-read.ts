import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { sqlTypeOf } from '../counter/sql-type';
import { countUpdates, START_COUNTING } from '../dialects/postgres/count-updates';
import { CounterCacheError } from '../errors';
import { escapeForBuilder, escapeName, escapePath } from '../sql/escape';
import { amongKeys } from '../sql/keys';
import { undoSavepoint } from '../sql/savepoint';
import { tableSql } from '../sql/table-names';
import { type TablePlan, writesKey } from './plan';
import { lockRows, type Returned, type RowChange } from './returning';
import { keyOf, textOf } from './row-text';
import { send, type Statement, type Strategy } from './statement';
import type { WriteBuilder } from './write-builder';

/** How often an upsert is tried again because a row that it updated appeared after the probe. */
const ATTEMPTS = 10;

/** Between the parts of a statement whose parameters are numbered together. */
const SEPARATOR = '/* counter_cache */';

const SAVEPOINT = 'counter_cache_upsert';

/**
 * Captures an update where the database cannot return old rows: locks and reads the rows that match, then updates
 * exactly those. A row that begins to match in between is left to whoever changed it, as if the update had run earlier.
 */
export const lockedUpdate: Strategy = async (statement) => {
  const { plan } = statement;
  const { rows, restricted } = await restrict(statement);
  return send(statement, ...restricted, ({ changes, transactionId }) =>
    statement.record(transactionId, [{ plan, changes: pairUpdated(statement, rows, afterOf(changes)) }]),
  );
};

/** The new versions of changed rows. */
export function afterOf(changes: readonly RowChange[]): Row[] {
  return changes.flatMap(({ after }) => (after === null ? [] : [after]));
}

/** Which row became which. Where an update of several writes their keys nothing tells, and the sums do not need it. */
export function pairUpdated(
  { plan, builder }: Pick<Statement, 'plan' | 'builder'>,
  before: readonly Row[],
  after: readonly Row[],
): RowChange[] {
  if (!writesKey(plan, builder)) return pairByKey(plan, before, after);
  const [only, ...others] = before;
  const [became] = after;
  if (only !== undefined && became !== undefined && others.length === 0) return [{ before: only, after: became }];
  return keepApart(before, after);
}

function pairByKey({ primaryKey }: TablePlan, before: readonly Row[], after: readonly Row[]): RowChange[] {
  const known = new Map(before.map((row) => [keyOf(primaryKey, row), row]));
  return after.map((row) => ({ before: known.get(keyOf(primaryKey, row)) ?? null, after: row }));
}

/** Old versions that went, and new ones that came. */
export function keepApart(before: readonly Row[], after: readonly Row[]): RowChange[] {
  return [
    ...before.map((row) => ({ before: row, after: null })),
    ...after.map((row) => ({ before: null, after: row })),
  ];
}

/** Locks and reads the rows that a statement is about to change, and makes SQL that changes exactly those. */
export async function restrict({ runner, builder, plan }: Statement): Promise<{
  readonly rows: readonly Row[];
  readonly restricted: [string, unknown[]];
}> {
  const rows = await lockRows(runner, plan, ...matching(builder, plan));
  const { expressionMap } = builder;
  const { wheres } = expressionMap;
  const condition = rows.length === 0 ? '1 = 0' : keyCondition(builder, plan, rows);
  expressionMap.wheres = [{ type: 'simple', condition }];
  try {
    return { rows, restricted: builder.getQueryAndParameters() };
  } finally {
    expressionMap.wheres = wheres;
  }
}

/**
 * Captures an upsert where the database cannot return old rows: a probe, rolled back, tells which rows exist; they are
 * locked and read; then the upsert runs. A row that appeared after the probe makes it start again.
 */
export const probedUpsert: Strategy = async (statement) => {
  const { runner, plan, parameters } = statement;
  const sql = plan.systemColumns === 'always' ? statement.sql : countUpdates(statement.sql);
  const keys = [plan.primaryKey, arbiterOf(statement.builder, plan)].filter((key) => key.length > 0);
  const sought: Row[] = [];
  let missed: readonly Row[] = [];
  if (plan.systemColumns !== 'always') await runner.query(START_COUNTING);
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  await send(statement, sql, [...parameters], (returned) => (missed = updatedRows(returned)));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
    sought.push(...missed);
    // All of them each time: the locks of the attempt before went with the savepoint.
    const existing = new ExistingRows(plan.primaryKey, keys[1] ?? []);
    for (const key of sought.length > 0 ? keys : []) existing.add(await lockByKey(runner, plan, key, sought));
    const answer = await send(statement, sql, [...parameters], (returned) => {
      missed = updatedRows(returned).filter((after) => existing.find(after) === undefined);
      if (missed.length === 0)
        statement.record(returned.transactionId, [{ plan, changes: pairUpserted(returned, existing) }]);
    });
    if (missed.length > 0) continue;
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    return answer;
  }
  await undoSavepoint(runner, SAVEPOINT);
  const { name } = plan.metadata;
  const reason = `an upsert of ${name} met new conflicting rows ${ATTEMPTS} times in a row; nothing was written. Try it again`;
  throw new CounterCacheError('WRITE_FAILED', reason, { entity: name });
};

function updatedRows({ changes, inserted }: Returned): Row[] {
  return changes.flatMap(({ after }, i) => (after === null || inserted[i] === true ? [] : [after]));
}

function pairUpserted({ changes, inserted }: Returned, existing: ExistingRows): RowChange[] {
  return changes.map(({ after }, i) => ({
    before: after === null || inserted[i] === true ? null : (existing.find(after) ?? null),
    after,
  }));
}

/**
 * Columns of the constraint that tells which row an upsert updates; none when it is named otherwise. TypeORM's upsert
 * may write a new primary key to the rows it updates (`"id" = EXCLUDED."id"`), so the primary key alone finds no old row.
 */
function arbiterOf({ expressionMap }: WriteBuilder, { metadata }: TablePlan): readonly string[] {
  const conflict = expressionMap.onUpdate?.conflict;
  if (!Array.isArray(conflict)) {
    const constraint = metadata.uniques.find(({ name }) => name === conflict);
    return constraint?.columns.map(({ databaseName }) => databaseName) ?? [];
  }
  return conflict.every((name) => metadata.findColumnWithDatabaseName(name) !== undefined) ? conflict : [];
}

/** A plan that also reads the columns of an upsert's conflict. */
export function planUpsert(builder: WriteBuilder, plan: TablePlan): TablePlan {
  return { ...plan, columns: [...new Set([...plan.columns, ...arbiterOf(builder, plan)])] };
}

/** Rows that an upsert may update, by the columns of its conflict and by primary key. */
class ExistingRows {
  readonly #byPrimary = new Map<string, Row>();
  /** `null`: several, which a partial index allows; then the primary key tells. */
  readonly #byArbiter = new Map<string, Row | null>();
  readonly #primary: readonly string[];
  readonly #arbiter: readonly string[];

  constructor(primary: readonly string[], arbiter: readonly string[]) {
    this.#primary = primary;
    this.#arbiter = arbiter;
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      const primary = keyOf(this.#primary, row);
      if (this.#byPrimary.has(primary)) continue;
      this.#byPrimary.set(primary, row);
      if (this.#arbiter.length === 0) continue;
      const key = keyOf(this.#arbiter, row);
      this.#byArbiter.set(key, this.#byArbiter.has(key) ? null : row);
    }
  }

  /** The old version of an updated row. */
  find(after: Row): Row | undefined {
    const byArbiter = this.#arbiter.length === 0 ? null : this.#byArbiter.get(keyOf(this.#arbiter, after));
    return byArbiter ?? this.#byPrimary.get(keyOf(this.#primary, after));
  }
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
