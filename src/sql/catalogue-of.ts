import type { DataSource } from 'typeorm';

import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import { KnownCatalogue } from '../dialects/postgres/catalogue/known-catalogue';
import { isUpToDate, readCatalogue, type RunQuery } from '../dialects/postgres/catalogue/read-catalogue';
import { rowsOf, withConnection } from './query';
import { withSideConnection } from './side-connection';

/**
 * What the database says of a DataSource's tables; its metadata have been built. `onChange` is told every catalogue that
 * differs from the one before.
 */
export function catalogueOf(dataSource: DataSource, onChange: (catalogue: Catalogue) => void): KnownCatalogue {
  const paths = [...new Set(dataSource.entityMetadatas.map(({ tablePath }) => tablePath))];
  // Beside the pool: a write that holds its last connection may be waiting for this.
  const ask = <T>(work: (run: RunQuery) => Promise<T>): Promise<T> =>
    withSideConnection(dataSource, (side) =>
      withConnection(side, (runner) => work((...query) => rowsOf(runner, ...query))),
    );
  const source = {
    read: () => ask((run) => readCatalogue(run, paths)),
    isUpToDate: (catalogue: Catalogue) => ask((run) => isUpToDate(run, catalogue)),
  };
  return new KnownCatalogue(source, onChange);
}
