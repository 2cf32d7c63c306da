import type { EntityManager, FindOptionsWhere, ObjectLiteral, QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { escapeForBuilder } from '../sql/escape';
import { rowsOf } from '../sql/query';
import { lockByKey } from './lock-and-read';
import type { TablePlan } from './plan';
import { readings, type RowChange } from './returning';
import { keyOf } from './row-text';

/** Conditions on source rows, as `find` takes them. */
export type TrackWhere = FindOptionsWhere<ObjectLiteral> | FindOptionsWhere<ObjectLiteral>[];

/** What some work did to the rows of a table that match conditions before or after it. */
export interface Tracked<Result> {
  readonly result: Result;
  readonly changes: readonly RowChange[];
  /** The database's id of the transaction. */
  readonly transactionId: string;
}

const PREFIX = '__cc_n';

/** Locks and reads matching rows, does the work, and reads them again, together with those that match by then. */
export async function trackRows<Result>(
  manager: EntityManager,
  plan: TablePlan,
  where: TrackWhere,
  work: () => Promise<Result>,
): Promise<Tracked<Result>> {
  const runner = manager.queryRunner as QueryRunner;
  const before = byKey(plan, await matching(manager, plan, where));
  const result = await work();
  const known = [...before.values()];
  const again = known.length === 0 ? [] : await lockByKey(runner, plan, plan.primaryKey, known);
  const after = byKey(plan, [...again, ...(await matching(manager, plan, where))]);
  const changes = [...new Set([...before.keys(), ...after.keys()])].map((key) => ({
    before: before.get(key) ?? null,
    after: after.get(key) ?? null,
  }));
  const [row] = await rowsOf(runner, 'SELECT pg_current_xact_id()::text AS "xid"');
  return { result, changes, transactionId: String(row?.['xid']) };
}

function byKey(plan: TablePlan, rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [keyOf(plan.primaryKey, row), row]));
}

async function matching(manager: EntityManager, plan: TablePlan, where: TrackWhere): Promise<Row[]> {
  const query = manager
    .createQueryBuilder<ObjectLiteral>(plan.metadata.target as never, 't')
    .setFindOptions({ where, withDeleted: true, loadEagerRelations: false })
    .select([])
    .setLock('pessimistic_write', undefined, ['t']);
  const columns = readings(plan, 't', escapeForBuilder);
  for (const [i, { sql }] of columns.entries()) query.addSelect(sql, `${PREFIX}${i}`);
  const rows = await query.getRawMany<Record<string, unknown>>();
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[`${PREFIX}${i}`]])));
}
