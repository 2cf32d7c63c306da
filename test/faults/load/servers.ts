import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../../support/services';

/** Servers of one test file. */
export interface OwnServers {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  stop(): Promise<void>;
}

/** What Redis has answered is written to its file: SIGKILL loses nothing of it, and only the machine could, without fsync. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'no'];

/**
 * Starts servers that this test file may kill, and names them in its environment: `setup()` and programs use them. Other
 * tests' transactions hold up no barrier here.
 */
export async function startOwnServers(): Promise<OwnServers> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis({ args: DURABLE })]);
  process.env['DATABASE_URL'] = postgres.url;
  process.env['REDIS_URL'] = redis.url;
  return {
    postgres,
    redis,
    async stop() {
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}
