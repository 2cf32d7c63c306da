import type { Row } from '../model/definition';
import { countUpdates, START_COUNTING } from '../dialects/postgres/count-updates';
import { undoSavepoint } from '../dialects/postgres/savepoint';
import { ATTEMPTS, lockByKey, metOthers, onLockedRows } from './locked-rows';
import { type TablePlan, writesKey } from './plan';
import type { Returned, RowChange } from './returning';
import { keyOf } from '../typeorm/row-text';
import { send, type Statement, type Strategy } from './statement';
import type { WriteBuilder } from '../typeorm/write-builder';

const SAVEPOINT = 'counter_cache_upsert';

/**
 * Captures an update where the database cannot return old rows: locks and reads the rows that match, then updates
 * exactly those. A row that begins to match in between is left to the transaction that changed it, as if the update had run earlier.
 */
export const lockedUpdate: Strategy = (statement) => {
  const { plan } = statement;
  return onLockedRows(statement, (rows, sendLocked) =>
    sendLocked(({ changes, transactionId }) =>
      statement.record(transactionId, [{ plan, changes: pairUpdated(statement, rows, afterOf(changes)) }]),
    ),
  );
};

/** The new versions of changed rows. */
export function afterOf(changes: readonly RowChange[]): Row[] {
  return changes.flatMap(({ after }) => (after === null ? [] : [after]));
}

/** Which row became which. Where an update of several writes their keys it is not known, and the sums do not need it. */
export function pairUpdated(
  { plan, builder }: Pick<Statement, 'plan' | 'builder'>,
  before: readonly Row[],
  after: readonly Row[],
): RowChange[] {
  if (!writesKey(plan, builder)) return pairByKey(plan, before, after);
  const [only, ...others] = before;
  const [became] = after;
  if (only !== undefined && became !== undefined && others.length === 0) return [{ before: only, after: became }];
  return asDeletesAndInserts(before, after);
}

function pairByKey({ primaryKey }: TablePlan, before: readonly Row[], after: readonly Row[]): RowChange[] {
  const known = new Map(before.map((row) => [keyOf(primaryKey, row), row]));
  return after.map((row) => ({ before: known.get(keyOf(primaryKey, row)) ?? null, after: row }));
}

/** Old versions that went, and new ones that came. */
export function asDeletesAndInserts(before: readonly Row[], after: readonly Row[]): RowChange[] {
  return [
    ...before.map((row) => ({ before: row, after: null })),
    ...after.map((row) => ({ before: null, after: row })),
  ];
}

/**
 * Captures an upsert where the database cannot return old rows: a probe, rolled back, shows which rows exist; they are
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
  await send(statement, [sql, [...parameters]], (returned) => (missed = updatedRows(returned)));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
    sought.push(...missed);
    // All of them each time: the locks of the attempt before went with the savepoint.
    const existing = new ExistingRows(plan.primaryKey, keys[1] ?? []);
    for (const key of sought.length > 0 ? keys : []) existing.add(await lockByKey(runner, plan, key, sought));
    const answer = await send(statement, [sql, [...parameters]], (returned) => {
      missed = updatedRows(returned).filter((after) => existing.find(after) === undefined);
      if (missed.length === 0)
        statement.record(returned.transactionId, [{ plan, changes: pairUpserted(returned, existing) }]);
    });
    if (missed.length > 0) continue;
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    return answer;
  }
  await undoSavepoint(runner, SAVEPOINT);
  throw metOthers('an upsert', plan);
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
 * Columns of the constraint that decides which row an upsert updates; none when it is named otherwise. TypeORM's upsert
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
  /** `null`: several, which a partial index allows; then the primary key decides. */
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
