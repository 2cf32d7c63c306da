import { startPostgres } from './postgres';
import { startRedis } from './redis';

export { type PostgresOptions, type PostgresServer, startPostgres } from './postgres';
export type { PostgresVersion } from './postgres-binaries';
export { type RedisOptions, type RedisServer, startRedis } from './redis';

/** The servers that the library needs. */
export interface Services {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Ends the servers that were started here, and only those. */
  stop(): Promise<void>;
}

interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Gives a PostgreSQL and a Redis: those named by `DATABASE_URL` and `REDIS_URL`, which are never stopped, and otherwise
 * servers of our own on free ports of 127.0.0.1. Those end with this process, however it ends.
 */
export async function startServices(): Promise<Services> {
  const starting: Promise<Service>[] = [given('DATABASE_URL') ?? startPostgres(), given('REDIS_URL') ?? startRedis()];
  const stop = (): Promise<void> => stopAll(starting);
  try {
    const [databaseUrl, redisUrl] = (await Promise.all(starting)).map(({ url }) => url) as [string, string];
    return { databaseUrl, redisUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function given(variable: 'DATABASE_URL' | 'REDIS_URL'): Promise<Service> | undefined {
  const url = process.env[variable];
  return url === undefined || url === '' ? undefined : Promise.resolve({ url, stop: async () => {} });
}

async function stopAll(services: readonly Promise<Service>[]): Promise<void> {
  const started = await Promise.allSettled(services);
  await Promise.all(started.map(async (service) => service.status === 'fulfilled' && service.value.stop()));
}
