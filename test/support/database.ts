import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** A database of one test file. */
export interface TestDatabase {
  readonly url: string;
  /** Who is connected to it. */
  connections(): Promise<Record<string, unknown>[]>;
  /** The id in our keys in Redis; `null` while our tables are missing. */
  installation(): Promise<string | null>;
  /** Drops the database, with every connection that is still open. */
  drop(): Promise<void>;
}

/**
 * Creates an empty database on a server, by default that of this run. Our keys in Redis carry an id stored in it, so it
 * isolates both.
 */
export async function createDatabase(server = serverUrl()): Promise<TestDatabase> {
  const name = `cc_test_${randomBytes(6).toString('hex')}`;
  await execute(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    connections: () => execute(server, CONNECTIONS, [name]),
    async installation() {
      const [found] = await execute(url.href, `SELECT to_regclass('counter_cache_state') IS NOT NULL AS exists`);
      if (found?.['exists'] !== true) return null;
      const [row] = await execute(url.href, `SELECT "value" FROM "counter_cache_state" WHERE "id" = 'installation'`);
      return row === undefined ? null : String(row['value']);
    },
    async drop() {
      await execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** Without the server's own workers. */
const CONNECTIONS = `SELECT pid, application_name, state, query FROM pg_stat_activity
  WHERE datname = $1 AND backend_type = 'client backend'`;

/** Runs one statement on a connection of its own. */
export async function execute(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** URL of a superuser on the PostgreSQL of this run. */
export function serverUrl(): string {
  const url = process.env['DATABASE_URL'];
  if (url === undefined)
    throw new Error('DATABASE_URL is not set: tests run through "npm test", which starts the servers');
  return url;
}
