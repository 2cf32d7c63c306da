import type { Catalogue, CatalogueTable, RowTriggers } from './catalogue';

/** Columns that an UPDATE may change without writing them: all of them, where triggers or rules run. */
export type DerivedColumns = 'all' | ReadonlySet<string>;

/** A table with its partitions and child tables, whose rows are rows of it. */
function familyOf(catalogue: Catalogue, table: CatalogueTable): readonly CatalogueTable[] {
  return [table, ...table.descendants.flatMap((oid) => catalogue.table(oid) ?? [])];
}

/** What the database itself may change in rows of a table that is updated. */
export function derivedColumns(catalogue: Catalogue, table: CatalogueTable): DerivedColumns {
  const family = familyOf(catalogue, table);
  if (family.some((one) => runsOn(one, 'update'))) return 'all';
  return new Set(
    family.flatMap(({ columns }) => [...columns.values()].flatMap((column) => (column.isGenerated ? column.name : []))),
  );
}

/** Whether an event may do something else to rows of a table than its statement says. */
export function mayDiffer(catalogue: Catalogue, table: CatalogueTable, event: keyof RowTriggers): boolean {
  return familyOf(catalogue, table).some((one) => runsOn(one, event));
}

/** A view may compute its columns, and hand its writes to anything. */
function runsOn({ rowTriggers, hasRules, kind }: CatalogueTable, event: keyof RowTriggers): boolean {
  return rowTriggers[event] || hasRules || kind === 'view' || kind === 'other';
}
