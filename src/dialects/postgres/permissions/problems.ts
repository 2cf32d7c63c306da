import type { Catalogue, CatalogueColumn, CatalogueTable } from '../catalogue/catalogue';
import { bypassSql, grantAllSql, policySql, usageSql } from '../catalogue/grants';
import type { TableNeed } from './table-need';

/** What keeps the catalogue's role from doing what is needed, each with its remedy; tables that are missing are none. */
export function problemsOf(catalogue: Catalogue, needs: readonly TableNeed[]): readonly string[] {
  return problemsBy(catalogue, needs, (...args) => [...privilegeProblems(...args), ...rowProblems(...args)]);
}

/** The same as far as privileges are concerned: policies may hide what they like. */
export function missingPrivileges(catalogue: Catalogue, needs: readonly TableNeed[]): readonly string[] {
  return problemsBy(catalogue, needs, privilegeProblems);
}

function problemsBy(
  catalogue: Catalogue,
  needs: readonly TableNeed[],
  look: (table: CatalogueTable, need: TableNeed, role: string) => readonly string[],
): readonly string[] {
  const { role } = catalogue;
  const schemas = new Set<string>();
  const problems = needs.flatMap((need) => {
    const table = catalogue.tableAt(need.path);
    if (table === undefined) return [];
    if (!table.canUseSchema) schemas.add(table.schema);
    return look(table, need, role);
  });
  const usage = [...schemas].map((schema) => `role ${role} may not use schema ${schema}. ${usageSql(schema, role)}`);
  return [...usage, ...problems];
}

function privilegeProblems(table: CatalogueTable, need: TableNeed, role: string): readonly string[] {
  const { privileges } = table;
  const missing = [
    missingOn('SELECT', table, need.select, ({ canSelect }) => canSelect),
    missingOn('UPDATE', table, need.update, ({ canUpdate }) => canUpdate),
    need.locks === true && !privileges.update ? { privilege: 'UPDATE', columns: [] } : null,
    need.insert && !privileges.insert ? { privilege: 'INSERT', columns: [] } : null,
    need.delete && !privileges.delete ? { privilege: 'DELETE', columns: [] } : null,
  ].filter((one) => one !== null);
  if (missing.length === 0) return [];
  const names = missing.map(({ privilege }) => privilege).join(', ');
  return [`role ${role} lacks ${names} on ${table.sql}. ${grantAllSql(missing, table.sql, role)}`];
}

function missingOn(
  privilege: 'SELECT' | 'UPDATE',
  { columns }: CatalogueTable,
  needed: TableNeed['select'],
  isAllowed: (column: CatalogueColumn) => boolean,
): { readonly privilege: string; readonly columns: readonly string[] } | null {
  const missing = [...columns.values()]
    .filter((column) => (needed === 'every' || needed.has(column.name)) && !isAllowed(column))
    .map(({ name }) => name);
  if (missing.length === 0) return null;
  return { privilege, columns: needed === 'every' ? [] : missing };
}

/** What a process may not see counts as absent, and what it may not change stays as it is, without an error. */
function rowProblems({ reachesAll, sql }: CatalogueTable, need: TableNeed, role: string): readonly string[] {
  const isChanging = need.update === 'every' || need.update.size > 0;
  const isFree =
    reachesAll.select &&
    (!isChanging || reachesAll.update) &&
    (!need.insert || reachesAll.insert) &&
    (!need.delete || reachesAll.delete);
  if (isFree) return [];
  const what = isChanging
    ? `hide rows of ${sql} from role ${role}, or keep it from changing them`
    : `hide rows of ${sql} from role ${role}`;
  return [`row security may ${what}. ${bypassSql(role)}, or ${policySql(sql, role)}`];
}
