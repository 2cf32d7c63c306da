import type { Catalogue, CatalogueTable } from './catalogue';

/** Columns of a table, by the path that metadata give. */
export interface ColumnsOf {
  readonly path: string;
  readonly columns: readonly string[];
}

/**
 * Whether the database vouches that what these columns refer to exists: by a foreign key that holds for every row, those
 * of before the key included. `isDeferrable`: also by one that may be violated until COMMIT. `null` where a table is not
 * known.
 */
export function vouchesFor(
  catalogue: Catalogue,
  from: ColumnsOf,
  to: ColumnsOf,
  { isDeferrable }: { readonly isDeferrable: boolean },
): boolean | null {
  const [table, referenced] = [catalogue.tableAt(from.path), catalogue.tableAt(to.path)];
  if (table === undefined || referenced === undefined) return null;
  // Child tables do not inherit foreign keys; partitions do.
  if (table.kind === 'table' && table.descendants.length > 0) return false;
  const wanted = pairs(from.columns, to.columns);
  return [table, ...partitionedAncestors(catalogue, table)]
    .flatMap(({ foreignKeys }) => foreignKeys)
    .some(
      (key) =>
        key.referenced === referenced.oid &&
        key.isValidated &&
        (isDeferrable || !key.isDeferrable) &&
        pairs(key.columns, key.referencedColumns) === wanted,
    );
}

function partitionedAncestors(catalogue: Catalogue, { ancestors }: CatalogueTable): CatalogueTable[] {
  return ancestors.flatMap((oid) => catalogue.table(oid) ?? []).filter(({ kind }) => kind === 'partitioned table');
}

function pairs(columns: readonly string[], referenced: readonly string[]): string {
  return JSON.stringify(columns.map((name, i) => [name, referenced[i]]).toSorted(byFirst));
}

function byFirst([a = '']: readonly (string | undefined)[], [b = '']: readonly (string | undefined)[]): number {
  return a < b ? -1 : 1;
}
