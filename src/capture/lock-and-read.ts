import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { sqlTypeOf } from '../counter/sql-type';
import { escapeName, escapePath } from '../sql/escape';
import type { TablePlan } from './plan';
import { executeReturning, lockRows, type Returned, type RowChange } from './returning';
import { dataSourceOf, type WriteBuilder, type WriteResult } from './write-builder';

/** How often an upsert is tried again because a row that it updated appeared after the probe. */
const ATTEMPTS = 10;

const SAVEPOINT = 'counter_cache_upsert';

/**
 * Captures an update where the database cannot return old rows: locks and reads the rows that match, then updates
 * exactly those. A row that begins to match in between is left to whoever changed it, as if the update had run earlier.
 */
export async function captureUpdate(
  runner: QueryRunner,
  builder: WriteBuilder,
  plan: TablePlan,
  execute: () => Promise<WriteResult>,
): Promise<Returned> {
  return restrictTo(runner, builder, plan, async (rows, transactionId) => {
    const returned = await executeReturning(builder, plan, 'row', execute);
    const before = new Map(rows.map((row) => [keyOf(plan, row), row]));
    const changes = returned.changes.map(({ after }) => ({ before: previous(before, plan, after, rows), after }));
    return { ...returned, changes, transactionId: returned.transactionId ?? transactionId };
  });
}

/** Locks and reads the rows that a builder is about to change, and restricts it to exactly those while `work` runs. */
export async function restrictTo<T>(
  runner: QueryRunner,
  builder: WriteBuilder,
  plan: TablePlan,
  work: (rows: readonly Row[], transactionId: string | null) => Promise<T>,
): Promise<T> {
  const [source, parameters] = matching(builder, plan);
  const { rows, transactionId } = await lockRows(runner, plan, source, parameters);
  const { expressionMap } = builder;
  const { wheres } = expressionMap;
  const condition = rows.length === 0 ? '1 = 0' : keyCondition(builder, plan, rows);
  expressionMap.wheres = [{ type: 'simple', condition }];
  try {
    return await work(rows, transactionId);
  } finally {
    expressionMap.wheres = wheres;
  }
}

/**
 * Captures an upsert where the database cannot return old rows: a probe, rolled back, tells which rows exist; they are
 * locked and read; then the upsert runs. A row that appeared after the probe makes it start again.
 */
export async function captureUpsert(
  runner: QueryRunner,
  builder: WriteBuilder,
  plan: TablePlan,
  execute: () => Promise<WriteResult>,
): Promise<Returned> {
  const existing = new Map<string, Row>();
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  let missed = await probe(runner, builder, plan);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
    if (missed.length > 0) await readExisting(runner, plan, missed, existing);
    const returned = await executeReturning(builder, plan, 'row', execute);
    missed = returned.changes
      .filter(({ after }, i) => after !== null && returned.inserted[i] === false && !existing.has(keyOf(plan, after)))
      .map(({ after }) => after as Row);
    if (missed.length > 0) continue;
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    const changes: RowChange[] = returned.changes.map(({ after }, i) => ({
      before: after === null || returned.inserted[i] === true ? null : (existing.get(keyOf(plan, after)) ?? null),
      after,
    }));
    return { ...returned, changes };
  }
  throw new Error(
    `an upsert of ${plan.metadata.name} met new conflicting rows ${ATTEMPTS} times in a row; it was not executed`,
  );
}

async function probe(runner: QueryRunner, builder: WriteBuilder, plan: TablePlan): Promise<Row[]> {
  const { changes, inserted } = await executeReturning(builder, plan, 'row', async () => {
    const [sql, parameters] = builder.getQueryAndParameters();
    const { records } = await runner.query(sql, parameters, true);
    return { raw: records as unknown };
  });
  return changes.filter((_, i) => inserted[i] === false).flatMap(({ after }) => (after === null ? [] : [after]));
}

async function readExisting(
  runner: QueryRunner,
  plan: TablePlan,
  keys: readonly Row[],
  existing: Map<string, Row>,
): Promise<void> {
  const condition = plan.primaryKey.map((name, i) => `${escapeName(name)}::text = w.k${i}`).join(' AND ');
  const arrays = plan.primaryKey.map((name) => keys.map((row) => String(row[name])));
  const wanted = `EXISTS (SELECT FROM unnest(${arrays.map((_, i) => `$${i + 1}::text[]`).join(', ')}) AS w(${arrays.map((_, i) => `k${i}`).join(', ')}) WHERE ${condition})`;
  const { rows } = await lockRows(runner, plan, `FROM ${escapePath(plan.metadata.tablePath)} WHERE ${wanted}`, arrays);
  for (const row of rows) existing.set(keyOf(plan, row), row);
}

/** `FROM … WHERE …` of the rows that a builder is about to change, with its parameters. */
function matching(builder: WriteBuilder, plan: TablePlan): [string, unknown[]] {
  const source = `FROM ${escapePath(plan.metadata.tablePath)}${builder.createWhereExpression()}`;
  const sql = builder.replacePropertyNamesForTheWholeQuery(source);
  const driver = dataSourceOf(builder)?.driver;
  const bound = driver?.escapeQueryWithParameters(sql, builder.getParameters());
  return [bound?.[0] ?? sql, bound?.[1] ?? []];
}

/** A condition that names the locked rows by their primary key. */
function keyCondition(builder: WriteBuilder, plan: TablePlan, rows: readonly Row[]): string {
  const driver = dataSourceOf(builder)?.driver;
  const columns = plan.metadata.primaryColumns;
  columns.forEach(({ databaseName }, i) =>
    builder.setParameter(
      `__cc_k${i}`,
      rows.map((row) => String(row[databaseName])),
    ),
  );
  // CAST, not `::`: TypeORM would take `:text` for a parameter of that name.
  const typed = columns
    .map((column, i) => `CAST(w.k${i} AS ${driver === undefined ? 'text' : sqlTypeOf(column, driver)})`)
    .join(', ');
  const arrays = columns.map((_, i) => `CAST(:__cc_k${i} AS text[])`).join(', ');
  return `(${columns.map(({ databaseName }) => escapeName(databaseName)).join(', ')}) IN (SELECT ${typed} FROM unnest(${arrays}) AS w(${columns.map((_, i) => `k${i}`).join(', ')}))`;
}

/** The primary key of a row, as a string to compare by. */
export function keyOf(plan: TablePlan, row: Row): string {
  return JSON.stringify(plan.primaryKey.map((name) => String(row[name])));
}

/** The old version of an updated row. An update of the primary key itself can only be paired when it changed one row. */
function previous(
  before: ReadonlyMap<string, Row>,
  plan: TablePlan,
  after: Row | null,
  rows: readonly Row[],
): Row | null {
  if (after === null) return null;
  return before.get(keyOf(plan, after)) ?? (rows.length === 1 ? (rows[0] ?? null) : null);
}
