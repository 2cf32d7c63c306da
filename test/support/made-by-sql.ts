import { type DataSourceOptions } from 'typeorm';
import { counterCacheEntities } from 'typeorm-counter-cache';

import { newDataSource, type SetupOptions } from './setup';

/** Options of `setup` for tables that SQL makes, or changes: those of `entities` are made first, and our own. */
export function madeBySql(
  sql: string,
  entities: readonly NewableFunction[] = [],
): Pick<SetupOptions, 'dataSource' | 'prepare'> {
  return {
    dataSource: { synchronize: false },
    prepare: async (url) => {
      const all = [...entities, ...counterCacheEntities] as NonNullable<DataSourceOptions['entities']>;
      const dataSource = await newDataSource(url, all).initialize();
      try {
        await dataSource.query(sql);
      } finally {
        await dataSource.destroy();
      }
    },
  };
}
