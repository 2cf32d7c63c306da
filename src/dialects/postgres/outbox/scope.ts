import type { ClaimScope } from '../../../model/pending';
import type { Definitions } from '../../../model/definition';
import type { TablePaths } from '../installation/tables';

/** Conditions, on rows `x` of the outbox, that one of these targets waits; parameters are pushed. */
export function waitingIn(scope: ClaimScope, parameters: unknown[]): string {
  const waits = `x."applied_at" IS NULL AND x."failed" IS NULL`;
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  switch (scope.select) {
    case 'due':
      // The transaction's time: a clock that moves on could not be looked up in an index.
      return `${waits} AND x."due" <= now()`;
    case 'targets':
      return `${waits} AND x."target" = ANY(${bind(scope.targets)}::text[])`;
    case 'dirty':
      if (scope.tableIds === null) return waits;
      return `${waits} AND ${ofTables(bind(scope.tableIds))}`;
  }
}

/** A condition that a row's target is of one of these tables. */
export function ofTables(parameter: string): string {
  return `EXISTS (SELECT 1 FROM unnest(${parameter}::text[]) AS k(id) WHERE starts_with(x."target", k.id || ':'))`;
}

/**
 * A condition that the database has not refused the target before: what came later waits with what was refused. Those
 * targets are looked up once, and not for every row: one target may have very many, and the planner, whose statistics of
 * a queue are always old, would go through all of them for each of them.
 */
export function notRefused(tables: TablePaths): string {
  return `x."target" NOT IN (${refusedTargets(tables)})`;
}

/** A SELECT of the targets that the database has refused. */
export function refusedTargets({ outbox }: TablePaths): string {
  return `SELECT f."target" FROM ${outbox} f WHERE f."applied_at" IS NULL AND f."failed" IS NOT NULL`;
}

/** The id of the target table of a row `x`, as `tableIdOf` finds it. */
export const TABLE_ID = `left(x."target", -strpos(reverse(x."target"), ':'))`;

/**
 * What {@link isKnownRow} compares with: ids of target tables, and their columns and touches. Ids hold no slash.
 */
export function knownNames({ targetTables }: Definitions): string[] {
  return [...targetTables].flatMap(([id, { columns, touches }]) => [
    id,
    ...[...columns.keys()].map((column) => `${id}/${column}`),
    ...[...touches.keys()].map((touch) => `${id}/@${touch}`),
  ]);
}

/** A condition that this process knows the target table of a row `x`, its column and its touches; `names` is an expression. */
export function isKnownRow(names: string): string {
  return `(COALESCE(${TABLE_ID} || '/' || x."column", ${TABLE_ID}) = ANY(${names}) AND (x."touches" = '{}'
    OR NOT EXISTS (SELECT FROM unnest(x."touches") AS u(touch) WHERE ${TABLE_ID} || '/@' || u.touch <> ALL(${names}))))`;
}
