import 'reflect-metadata';

import { DataSource, type DataSourceOptions } from 'typeorm';
import { type CounterWorker, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { createDatabase } from './database';
import { redisUrl } from './redis';

export interface SetupOptions {
  readonly entities: NonNullable<DataSourceOptions['entities']>;
  /** Short times, so that tests do not wait; override at will. */
  readonly counters?: Partial<CountersOptions>;
  readonly dataSource?: Partial<DataSourceOptions>;
  /** Starts a worker as well. */
  readonly worker?: boolean;
}

/** All that an integration test needs. */
export interface Fixture {
  readonly databaseUrl: string;
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly worker: CounterWorker | null;
  /** What `counters` reported in the background; a test that expects none looks here. */
  readonly errors: unknown[];
  /** Closes everything, drops the database, and fails when the buffer still holds something of a transaction. */
  close(): Promise<void>;
}

/** Times fit for tests; `redisTimeout` is generous because two cores run both servers and the tests. */
export const TEST_OPTIONS = {
  wait: 50,
  window: 50,
  sweepInterval: 200,
  recalculationDelay: 600_000,
  redisTimeout: 5_000,
} as const;

/** A database, a DataSource and counters of its own for one test file. */
export async function setup({
  entities,
  counters: options = {},
  dataSource: overrides = {},
  worker = false,
}: SetupOptions): Promise<Fixture> {
  const database = await createDatabase();
  const dataSource = newDataSource(database.url, entities, overrides);
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
  const errors: unknown[] = [];
  counters.on('error', (error) => errors.push(error));
  await dataSource.initialize();
  const started = worker ? await counters.startWorker() : null;
  return {
    databaseUrl: database.url,
    dataSource,
    counters,
    worker: started,
    errors,
    async close() {
      await counters.close();
      if (dataSource.isInitialized) await dataSource.destroy();
      await database.drop();
    },
  };
}

export function newDataSource(
  url: string,
  entities: NonNullable<DataSourceOptions['entities']>,
  overrides: Partial<DataSourceOptions> = {},
): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities,
    synchronize: true,
    poolSize: 20,
    ...overrides,
  } as DataSourceOptions);
}
