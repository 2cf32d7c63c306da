import type { DataSource } from 'typeorm';

import { KnownCatalogue } from '../dialects/postgres/catalogue/known-catalogue';
import { readCatalogue } from '../dialects/postgres/catalogue/read-catalogue';
import { rowsOf, withConnection } from './query';
import { withSideConnection } from './side-connection';
import { ownTables } from './tables';

/** What the database says of a DataSource's tables; its metadata have been built. */
export function catalogueOf(dataSource: DataSource): KnownCatalogue {
  const own = Object.values(ownTables(dataSource));
  const paths = [...new Set([...dataSource.entityMetadatas.map(({ tablePath }) => tablePath), ...own])];
  // Beside the pool: a write that holds its last connection may be waiting for this.
  const read = () =>
    withSideConnection(dataSource, (side) =>
      withConnection(side, (runner) => readCatalogue((...query) => rowsOf(runner, ...query), paths)),
    );
  return new KnownCatalogue(read, () => undefined);
}
