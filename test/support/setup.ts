import 'reflect-metadata';

import { DataSource, type DataSourceOptions } from 'typeorm';
import { CounterCacheError, type CounterWorker, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from './database';
import { deleteKeysOf, redisUrl } from './redis';
import { until } from './until';

export interface SetupOptions {
  readonly entities: NonNullable<DataSourceOptions['entities']>;
  /** Short times, so that tests do not wait; override at will. */
  readonly counters?: Partial<CountersOptions>;
  readonly dataSource?: Partial<DataSourceOptions>;
  /** Starts a worker as well. */
  readonly worker?: boolean;
  /** URL of a superuser on another server than that of this run. */
  readonly server?: string | undefined;
  /** Runs before the counters are attached: makes roles, schemas, triggers that `synchronize` does not. */
  readonly prepare?: (databaseUrl: string) => Promise<void>;
}

/** All that an integration test needs. */
export interface Fixture {
  readonly databaseUrl: string;
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly worker: CounterWorker | null;
  /** What `counters` reported in the background; a test that expects none looks here. */
  readonly errors: unknown[];
  /**
   * Closes everything, deletes database and keys, and fails when the buffer still holds something of a transaction or
   * a connection to the database stays open. Without `leakCheck` for a test that leaves such things on purpose.
   */
  close(options?: { readonly leakCheck: boolean }): Promise<void>;
}

/** Times fit for tests; `redisTimeout` is generous because two cores run both servers and the tests. */
export const TEST_OPTIONS = {
  wait: 50,
  window: 50,
  sweepInterval: 200,
  recalculationDelay: 600_000,
  redisTimeout: 5_000,
} as const;

/** How long what was closed may take to be gone, ms. */
const LEAK_PATIENCE = 5_000;

/** A database, a DataSource and counters of its own for one test file. */
export async function setup({
  entities,
  counters: options = {},
  dataSource: overrides = {},
  worker = false,
  server,
  prepare,
}: SetupOptions): Promise<Fixture> {
  const database = await createDatabase(server);
  const dataSource = newDataSource(database.url, entities, overrides);
  const errors: unknown[] = [];
  let counters: Counters | null = null;
  try {
    await prepare?.(database.url);
    counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
    counters.on('error', (error) => errors.push(error));
    await dataSource.initialize();
    const started = worker ? await counters.startWorker() : null;
    const fixture = { databaseUrl: database.url, dataSource, counters, worker: started, errors };
    return { ...fixture, close: ({ leakCheck } = { leakCheck: true }) => close(fixture, database, leakCheck) };
  } catch (error) {
    await counters?.close();
    if (dataSource.isInitialized) await dataSource.destroy();
    await remove(database);
    throw error;
  }
}

async function close(
  { counters, dataSource }: Omit<Fixture, 'close'>,
  database: TestDatabase,
  leakCheck: boolean,
): Promise<void> {
  try {
    if (leakCheck) await expectNothingHeld(counters);
  } finally {
    try {
      await counters.close();
      if (dataSource.isInitialized) await dataSource.destroy();
      if (leakCheck) await expectNoConnections(database);
    } finally {
      await remove(database);
    }
  }
}

/** No intent is open and no batch unacknowledged; a worker that runs may be about to end one. */
async function expectNothingHeld(counters: Counters): Promise<void> {
  const held = async () => {
    const { intents, batches } = await counters.status();
    return { intents, batches };
  };
  try {
    await held();
  } catch (error) {
    // Closed by the test: that was what it is about.
    if (error instanceof CounterCacheError && error.code === 'CLOSED') return;
    throw error;
  }
  await counters.settled();
  // A worker that runs may begin a batch at any time: what was seen last is what counts.
  let seen = await held();
  await until(async () => {
    seen = await held();
    return seen.intents + seen.batches === 0;
  }, LEAK_PATIENCE).catch(() => undefined);
  expect(seen).toEqual({ intents: 0, batches: 0 });
}

/** PostgreSQL takes a moment to see that a client has gone. */
async function expectNoConnections(database: TestDatabase): Promise<void> {
  await until(async () => (await database.connections()).length === 0, LEAK_PATIENCE).catch(() => undefined);
  expect(await database.connections()).toEqual([]);
}

async function remove(database: TestDatabase): Promise<void> {
  const installation = await database.installation();
  await database.drop();
  if (installation !== null) await deleteKeysOf(installation);
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
