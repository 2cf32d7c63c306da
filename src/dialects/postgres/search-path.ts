import type { DataSource } from 'typeorm';

/** Where a DataSource keeps the search path with which its tables were looked up. */
const PATH = Symbol('typeorm-counter-cache.search-path');

type Pinned = DataSource & { [PATH]?: string | undefined };

/** Notes the search path by which the paths of a DataSource's metadata are understood; `null` until the next one is known. */
export function pinSearchPath(dataSource: DataSource, path: string | null): void {
  (dataSource as Pinned)[PATH] = path ?? undefined;
}

/** That search path, as the setting is written; `null` while it is not known. */
export function pinnedSearchPath(dataSource: DataSource): string | null {
  return (dataSource as Pinned)[PATH] ?? null;
}

/**
 * A statement that sets it until the transaction ends; `null` while it is not known. The connection may have been left
 * with another one.
 */
export function searchPathSql(dataSource: DataSource): string | null {
  const path = pinnedSearchPath(dataSource);
  if (path === null) return null;
  // Not bound: it is sent together with BEGIN.
  const literal = `E'${path.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
  return `SELECT pg_catalog.set_config('search_path', ${literal}, true)`;
}
