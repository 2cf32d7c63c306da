/** Statements that give a role what it lacks. Tables are given as they stand in SQL. */

/** Escapes one identifier. */
function escape(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Lets a role pass every policy. */
export function bypassSql(role: string): string {
  return `ALTER ROLE ${escape(role)} BYPASSRLS`;
}

/** Lets a role reach all rows of one table. */
export function policySql(table: string, role: string): string {
  return `CREATE POLICY counter_cache ON ${table} TO ${escape(role)} USING (true) WITH CHECK (true)`;
}

/** Grants privileges on a table: each on some of its columns, or, where none are named, on all of it. */
export function grantAllSql(
  privileges: readonly { readonly privilege: string; readonly columns: readonly string[] }[],
  table: string,
  role: string,
): string {
  const list = privileges.map(({ privilege, columns }) =>
    columns.length === 0 ? privilege : `${privilege} (${columns.map(escape).join(', ')})`,
  );
  return `GRANT ${list.join(', ')} ON ${table} TO ${escape(role)}`;
}

/** Lets a role name the tables of a schema. */
export function usageSql(schema: string, role: string): string {
  return `GRANT USAGE ON SCHEMA ${escape(schema)} TO ${escape(role)}`;
}

/** Lets a role take numbers from a sequence. */
export function sequenceSql(sequence: string, role: string): string {
  return `GRANT USAGE ON SEQUENCE ${sequence} TO ${escape(role)}`;
}
