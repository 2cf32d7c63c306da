import { escapeName } from '../escape';

// Statements that give a role what it lacks. Tables are given as they stand in SQL.

/** Lets a role pass every policy. */
export function bypassSql(role: string): string {
  return `ALTER ROLE ${escapeName(role)} BYPASSRLS`;
}

/** Lets a role reach all rows of one table. */
export function policySql(table: string, role: string): string {
  return `CREATE POLICY counter_cache ON ${table} TO ${escapeName(role)} USING (true) WITH CHECK (true)`;
}

/** Grants privileges on a table: each on some of its columns, or, where none are named, on all of it. */
export function grantAllSql(
  privileges: readonly { readonly privilege: string; readonly columns: readonly string[] }[],
  table: string,
  role: string,
): string {
  const list = privileges.map(({ privilege, columns }) =>
    columns.length === 0 ? privilege : `${privilege} (${columns.map(escapeName).join(', ')})`,
  );
  return `GRANT ${list.join(', ')} ON ${table} TO ${escapeName(role)}`;
}

/** Lets a role name the tables of a schema. */
export function usageSql(schema: string, role: string): string {
  return `GRANT USAGE ON SCHEMA ${escapeName(schema)} TO ${escapeName(role)}`;
}

/** Lets a role take numbers from a sequence. */
export function sequenceSql(sequence: string, role: string): string {
  return `GRANT USAGE ON SEQUENCE ${sequence} TO ${escapeName(role)}`;
}
