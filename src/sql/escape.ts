/** Escapes one identifier; safe for names with quotes in them. */
export function escapeName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Escapes a table path as TypeORM builds it (`schema.table`). */
export function escapePath(path: string): string {
  return path.split('.').map(escapeName).join('.');
}
