import type { DataSource, DataSourceOptions } from 'typeorm';
import { attachForTests, type TestCounters, type TestOptions } from 'typeorm-counter-cache/testing';

import { createDatabase, type TestDatabase } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';

/** A database of its own, with counters of the entry point for tests. */
export interface Attached {
  readonly database: TestDatabase;
  readonly dataSource: DataSource;
  readonly counters: TestCounters;
  /** What was reported in the background. */
  readonly errors: unknown[];
  /** Fails when a connection stays open. */
  close(): Promise<void>;
}

/** Options of counters that use the servers of this run. */
export function served(): TestOptions {
  return { inline: false, redis: redisUrl(), ...TEST_OPTIONS };
}

export async function attached(
  entities: NonNullable<DataSourceOptions['entities']>,
  options: TestOptions = { inline: true },
  overrides: Partial<DataSourceOptions> = {},
): Promise<Attached> {
  const database = await createDatabase();
  const dataSource = newDataSource(database.url, entities, overrides);
  const errors: unknown[] = [];
  const counters = await attachForTests(dataSource, options);
  counters.on('error', (error) => errors.push(error));
  const installations = new Set<string>();
  await dataSource.initialize();
  const note = async () => installations.add((await database.installation()) ?? '');
  await note();
  const close = async () => {
    await note();
    await counters.close();
    if (dataSource.isInitialized) await dataSource.destroy();
    await until(async () => (await database.connections()).length === 0).catch(() => undefined);
    expect(await database.connections()).toEqual([]);
    await database.drop();
    for (const installation of installations) await deleteKeysOf(installation);
  };
  return { database, dataSource, counters, errors, close };
}
