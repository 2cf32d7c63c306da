import type { FindOptionsWhere, ObjectLiteral, QueryRunner } from 'typeorm';

import type { TargetTable } from '../../../model/definition';
import { keyText, targetId } from '../../../model/target';
import { escapeForBuilder } from '../escape';
import { rowsSeen } from '../sight';
import { tableSql } from '../table-names';

/** Which rows of a target table to list, in key order. */
export interface TargetPage {
  readonly where: FindOptionsWhere<ObjectLiteral> | null;
  /** Keys as text, inclusive; single-column keys only. */
  readonly from: string | null;
  readonly to: string | null;
  /** The last key of the page before, exclusive. */
  readonly after: readonly string[] | null;
  readonly limit: number;
}

/**
 * One page of target ids, soft-deleted rows included. Rows whose key is NULL cannot have sources.
 *
 * @throws NotPermittedError when policies may have hidden some
 */
export async function listTargets(
  runner: QueryRunner,
  targetTable: TargetTable,
  page: TargetPage,
): Promise<{ readonly target: string; readonly key: readonly string[] }[]> {
  const query = runner.manager
    .createQueryBuilder<ObjectLiteral>(targetTable.metadata.target as never, 't')
    .withDeleted()
    .select([])
    .limit(page.limit);
  if (page.where !== null) query.where(page.where);
  const columns = targetTable.keys.map(({ name }) => `t.${escapeForBuilder(name)}`);
  columns.forEach((column, i) => query.addSelect(column, `k${i}`).andWhere(`${column} IS NOT NULL`).addOrderBy(column));
  const cast = (parameter: string, i: number) => `CAST(:${parameter} AS ${targetTable.keys[i]?.sqlType ?? 'text'})`;
  if (page.after !== null) {
    query.andWhere(`(${columns.join(', ')}) > (${columns.map((_, i) => cast(`cc_after${i}`, i)).join(', ')})`);
    page.after.forEach((value, i) => query.setParameter(`cc_after${i}`, value));
  }
  if (page.from !== null) query.andWhere(`${columns[0]} >= ${cast('cc_from', 0)}`, { cc_from: page.from });
  if (page.to !== null) query.andWhere(`${columns[0]} <= ${cast('cc_to', 0)}`, { cc_to: page.to });
  const [sql, parameters] = query.getQueryAndParameters();
  const keys = columns.map((_, i) => `q."k${i}"`).join(', ');
  // A page without rows says as well whether it has seen all.
  const rows = await rowsSeen(runner, [tableSql(targetTable.metadata)], (sight) => [
    `SELECT ${keys}, ${sight} FROM (SELECT 1) AS one LEFT JOIN (${sql}) AS q ON true ORDER BY ${keys}`,
    parameters,
  ]);
  return rows.flatMap((row) => {
    const key = targetTable.keys.map(({ sqlType }, i) => keyText(row[`k${i}`], sqlType));
    const target = targetId(targetTable.id, key);
    return target === null ? [] : [{ target, key: key.map(String) }];
  });
}
