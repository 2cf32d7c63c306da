import { DataSource } from 'typeorm';

import { within } from '../time-limit';

/** The longest that a connection is waited for to close, ms. */
const CLOSE_TIMEOUT = 1_000;

/**
 * A connection beside the pool, for what a write waits for: every connection of the pool may be held by a transaction
 * that waits for the same.
 */
export async function withSideConnection<T>(
  dataSource: DataSource,
  work: (side: DataSource) => Promise<T>,
): Promise<T> {
  const side = new DataSource({
    ...dataSource.options,
    entities: [],
    subscribers: [],
    migrations: [],
    poolSize: 1,
    cache: false,
    synchronize: false,
    migrationsRun: false,
    dropSchema: false,
  } as ConstructorParameters<typeof DataSource>[0]);
  await side.initialize();
  try {
    return await work(side);
  } finally {
    // Work that was given up may hold the connection until the buffer answers: not waited for.
    await within(side.destroy(), CLOSE_TIMEOUT, undefined).catch(() => undefined);
  }
}
