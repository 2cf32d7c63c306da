import type { EntityMetadata } from 'typeorm';

import type { ColumnMetadata } from './sql-type';
import { storedColumns } from './stored-column';

/** What a counter looks at, by database column name. */
export interface Looks {
  /** Columns that the declaration names: keys, type, `where`, amount, delete date, discriminator. */
  readonly named: readonly string[];
  /** Columns that its functions see; `null` when it has none. */
  readonly seen: readonly string[] | null;
  /** Whether one of these functions makes up the contribution (not only the wait). */
  readonly functionsCount: boolean;
}

/** Columns whose change can change a contribution, and columns to read in order to compute it. */
export function columnsOfInterest(
  metadata: EntityMetadata,
  looks: Looks,
): { readonly relevant: ReadonlySet<string>; readonly needs: readonly string[] } {
  const relevant = new Set([...looks.named, ...(looks.functionsCount ? (looks.seen ?? []) : [])]);
  const needs = new Set([...relevant, ...(looks.seen ?? [])]);
  const stored = storedColumns(metadata);
  // These change when other columns do, without being set by the statement's author.
  if (stored.some((column) => relevant.has(column.databaseName) && isDerived(column))) {
    for (const { databaseName } of stored) relevant.add(databaseName);
  }
  for (const name of relevant) needs.add(name);
  return { relevant, needs: Object.freeze([...needs]) };
}

function isDerived(column: ColumnMetadata): boolean {
  return column.asExpression !== undefined || column.isUpdateDate || column.isVersion || column.onUpdate !== undefined;
}
