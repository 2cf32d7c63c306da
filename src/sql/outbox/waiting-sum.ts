import type { TablePaths } from '../tables';

/** The sum of what waits in the outbox for a column of a target, refused or not; both are SQL expressions. */
export function waitingSum({ outbox }: TablePaths, target: string, column: string): string {
  return `(SELECT COALESCE(sum(x."amount"), 0) FROM ${outbox} x
    WHERE x."target" = ${target} AND x."column" = ${column} AND x."applied_at" IS NULL)`;
}

/** Whether the database has refused something of a target that still waits. */
export function isRefused({ outbox }: TablePaths, target: string): string {
  return `EXISTS (SELECT 1 FROM ${outbox} x WHERE x."target" = ${target} AND x."applied_at" IS NULL AND x."failed" IS NOT NULL)`;
}
