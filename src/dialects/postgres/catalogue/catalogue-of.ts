import type { DataSource, QueryRunner } from 'typeorm';

import type { Catalogue } from './catalogue';
import { KnownCatalogue } from './known-catalogue';
import { isUpToDate, readCatalogue, type RunQuery } from './read-catalogue';
import { rowsOf, withConnection, withTransaction } from '../query';
import { pinnedSearchPath, pinSearchPath } from '../search-path';
import { besidePool } from '../side-connection';
import { ownTables } from '../installation/tables';
import { noteTables } from '../table-names';

/**
 * What the database says of a DataSource's tables; its metadata have been built. Names are looked up by the search path of
 * the first reading, also when that of the role is another one by then. `onChange` receives every catalogue that differs from
 * the one before.
 */
export function catalogueOf(dataSource: DataSource, onChange: (catalogue: Catalogue) => void): KnownCatalogue {
  const own = Object.values(ownTables(dataSource));
  const paths = [...new Set([...dataSource.entityMetadatas.map(({ tablePath }) => tablePath), ...own])];
  pinSearchPath(dataSource, null);
  const runOn =
    (runner: QueryRunner): RunQuery =>
    (...query) =>
      rowsOf(runner, ...query);
  const source = {
    read: () => withPinnedPath(dataSource, (runner) => readCatalogue(runOn(runner), paths)),
    readIn: (runner: QueryRunner, last: Catalogue | null) => readCatalogue(runOn(runner), paths, last?.schemas),
    // Names nothing: the search path does not matter.
    isUpToDate: (catalogue: Catalogue) =>
      besidePool('always', () => withConnection(dataSource, (runner) => isUpToDate(runOn(runner), catalogue))),
  };
  return new KnownCatalogue(source, (catalogue) => {
    noteTables(dataSource, catalogue);
    onChange(catalogue);
  });
}

/**
 * Runs `work` in a transaction with the search path of the first; the first notes it. On the connection beside the pool: a
 * write that holds its last one may be waiting for this. `work` must not ask for another connection.
 */
export function withPinnedPath<T>(dataSource: DataSource, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  return besidePool('always', () =>
    withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
      if (pinnedSearchPath(dataSource) === null) {
        const [row] = await rowsOf(runner, `SELECT current_setting('search_path') AS path`);
        pinSearchPath(dataSource, String(row?.['path']));
      }
      return work(runner);
    }),
  );
}
