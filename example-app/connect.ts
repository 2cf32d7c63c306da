import 'reflect-metadata';

import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { ENTITIES } from './entities';
import type { Settings } from './settings';

/** The database, with its counters attached. */
export interface Connection {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly close: () => Promise<void>;
}

/** Every process of the service, API or worker, connects like this. */
export async function connect({ databaseUrl, redisUrl, prefix }: Settings): Promise<Connection> {
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl, entities: ENTITIES, poolSize: 16 });
  // Before initialize(), so that the library's own tables join the DataSource.
  const counters = await Counters.attach(dataSource, {
    redis: redisUrl,
    prefix,
    // Short times, because somebody watches. The defaults are 10 s, 30 s and 6 h.
    wait: 1_000,
    sweepInterval: 5_000,
    recalculationDelay: 5 * 60_000,
    // Generous, because two servers and four processes may share two cores here.
    redisTimeout: 2_000,
  });
  counters
    .on('error', (error) => console.error(`counters: ${String(error)}`))
    .on('degraded', ({ error }) => console.error(`counters: Redis is out of reach: ${String(error)}`))
    .on('recovered', () => console.error('counters: Redis answers again'));
  const close = async (): Promise<void> => {
    await counters.close();
    if (dataSource.isInitialized) await dataSource.destroy();
  };
  try {
    await dataSource.initialize();
  } catch (error) {
    await close();
    throw error;
  }
  return { dataSource, counters, close };
}
