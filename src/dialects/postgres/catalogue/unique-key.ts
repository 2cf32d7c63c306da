import { escapeName } from '../escape';
import type { Catalogue, CatalogueTable } from './catalogue';

/** Why columns do not keep rows of a table apart, and what to do; `null` where they do, at every moment. */
export function notUnique(
  catalogue: Catalogue,
  table: CatalogueTable,
  columns: readonly string[],
): { readonly got: string; readonly advice: string } | null {
  if (table.kind === 'table' && table.descendants.length > 0) {
    const children = table.descendants.map((oid) => catalogue.table(oid)?.sql ?? oid).join(', ');
    return {
      got: `${table.sql}, whose child tables (${children}) no unique key spans`,
      advice: 'Use partitions instead of INHERITS, or tables of their own',
    };
  }
  if (table.uniqueKeys.some((key) => key.every((name) => columns.includes(name)))) return null;
  const list = columns.map(escapeName).join(', ');
  if (table.kind === 'view')
    return {
      got: `the view ${table.sql}, which does not show one table's rows with a unique constraint on ${list}`,
      advice: 'Map the table itself, or a view of one table that keeps the names of its columns',
    };
  if (table.kind === 'other')
    return {
      got: `${table.sql}, a materialized view or foreign table, whose rows change unseen`,
      advice: 'Map a table',
    };
  return {
    got: `${table.sql} (${list}) without a unique constraint or index that is unconditional, checked at once and valid`,
    advice: `Add one: ALTER TABLE ${table.sql} ADD UNIQUE (${list})`,
  };
}
