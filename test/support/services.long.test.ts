import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { startChild } from './child';
import { createDatabase } from './database';
import { redisUrl } from './redis';
import { type RedisServer, startPostgres, startRedis } from './services';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function withRedis<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** As Linux tells it, behind the name, which may hold anything. */
function isStopped(pid: number): boolean {
  return /\) T [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

describe('the servers of the run', () => {
  it('give every test file a database of its own', async () => {
    const [first, second] = [await createDatabase(), await createDatabase()];
    await query(first.url, 'CREATE TABLE t (id int)');
    await expect(query(second.url, 'TABLE t')).rejects.toThrow('does not exist');
    const open = new Client({ connectionString: first.url });
    const broken = new Promise((resolve) => open.on('error', resolve));
    await open.connect();
    await first.drop();
    await broken;
    await second.drop();
    await expect(query(first.url, 'SELECT 1')).rejects.toThrow('does not exist');
  });

  it('store text as UTF-8', async () => {
    const database = await createDatabase();
    await expect(query(database.url, "SELECT upper('é') AS upper, length('日本') AS length")).resolves.toEqual([
      { upper: 'É', length: 2 },
    ]);
    await database.drop();
  });

  it('never evict a key from Redis', async () => {
    const policy = await withRedis(redisUrl(), (client) => client.config('GET', 'maxmemory-policy'));
    expect(policy).toEqual(['maxmemory-policy', 'noeviction']);
  });
});

describe('a Redis of our own', () => {
  let server: RedisServer;
  const get = (): Promise<string | null> => withRedis(server.url, (client) => client.get('key'));
  const set = (value: string): Promise<unknown> => withRedis(server.url, (client) => client.set('key', value));

  beforeEach(async () => {
    server = await startRedis();
  });
  afterEach(() => server.stop());

  it('restarts with its data, or without', async () => {
    const { pid, port } = server;
    await set('kept');
    await server.restart({ keepData: true });
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
    await expect(get()).resolves.toBe('kept');
    await server.restart({ keepData: false });
    await expect(get()).resolves.toBeNull();
  });

  it('goes back to what was last saved after a kill', async () => {
    await set('saved');
    await server.save();
    await set('lost');
    await server.kill();
    expect(() => server.pid).toThrow('Redis does not run');
    await server.restart({ keepData: true });
    await expect(get()).resolves.toBe('saved');
  });

  it('is stopped while it is paused, and answers later', async () => {
    server.pause();
    await waitUntil(() => isStopped(server.pid));
    const ping = withRedis(server.url, (client) => client.ping());
    server.resume();
    await expect(ping).resolves.toBe('PONG');
    expect(isStopped(server.pid)).toBe(false);
  });
});

describe('a PostgreSQL of our own', () => {
  it('keeps what was committed when it is killed', async () => {
    const server = await startPostgres({ settings: { application_name: 'ours' } });
    await query(server.url, 'CREATE TABLE t AS SELECT 1 AS id');
    await server.kill();
    await expect(query(server.url, 'TABLE t')).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    await expect(query(server.url, 'TABLE t')).resolves.toEqual([{ id: 1 }]);
    await expect(query(server.url, 'SHOW application_name')).resolves.toEqual([{ application_name: 'ours' }]);
    await server.stop();
  });
});

describe('a process that dies', () => {
  let temporary: string;

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'counter-cache-test-'));
    chmodSync(temporary, 0o755); // PostgreSQL runs as another user when we are root
  });
  afterEach(() => rmSync(temporary, { recursive: true }));

  it.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
    'takes its servers and their files with it: %s',
    async (signal) => {
      const program = startChild(join(__dirname, 'services-program.ts'), { TMPDIR: temporary });
      const [line] = (await once(program.stdout, 'data')) as [Buffer];
      const pids = JSON.parse(line.toString()) as number[];
      expect(pids.map(isAlive)).toEqual([true, true]);
      expect(readdirSync(temporary)).toHaveLength(2);
      program.kill(signal);
      await waitUntil(() => !pids.some(isAlive) && readdirSync(temporary).length === 0);
    },
  );
});
