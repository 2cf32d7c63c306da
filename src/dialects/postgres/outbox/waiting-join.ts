import type { TablePaths } from '../installation/tables';

/**
 * Joins what waits in the outbox, refused or not, to rows `k(target)`, as `w(target, o0, o1, …, refused)`: a sum per
 * column, and whether the database has refused something; nothing where nothing waits. Both parameters are expressions
 * in SQL. It is looked up once for all targets, not for each.
 */
export function waitingJoin({ outbox }: TablePaths, targets: string, columns: readonly string[]): string {
  const sums = columns.map((column, i) => `SUM(x."amount") FILTER (WHERE x."column" = ${column}) AS o${i}`);
  return `LEFT JOIN (SELECT x."target", ${[...sums, 'bool_or(x."failed" IS NOT NULL) AS refused'].join(', ')} FROM ${outbox} x
    WHERE x."target" = ANY(${targets}::text[]) AND x."applied_at" IS NULL GROUP BY 1) w ON w."target" = k.target`;
}
