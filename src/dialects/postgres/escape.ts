/** Escapes one identifier; safe for names with quotes in them. */
export function escapeName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Escapes one identifier for SQL that TypeORM looks through for parameters: `:name` would be taken for one. */
export function escapeForBuilder(name: string): string {
  if (!name.includes(':')) return escapeName(name);
  return `U&${escapeName(name.replaceAll('\\', '\\\\').replaceAll(':', '\\003A'))}`;
}

/** Escapes a table path as TypeORM builds it (`schema.table`). */
export function escapePath(path: string): string {
  return path.split('.').map(escapeName).join('.');
}

/** A text as a constant of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
