import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { Redis } from 'ioredis';
import { Client } from 'pg';
import { BufferUnavailableError, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { ended } from '../faults/programs';
import { startChild } from '../support/child';
import { createDatabase, type TestDatabase } from '../support/database';
import { startProxy } from '../support/proxy';
import { keysOf } from '../support/redis';
import { type RedisServer, startRedis } from '../support/services';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';

let server: RedisServer;
let database: TestDatabase;
/** The only client of the server that is not the library's. */
let observer: Redis;

beforeAll(async () => {
  server = await startRedis();
  observer = new Redis(server.url);
});
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());
afterAll(async () => {
  observer.disconnect();
  await server.stop();
});

/** Connections to the server but for the observer's. */
async function clients(): Promise<number> {
  const list = (await observer.client('LIST')) as string;
  return list.trim().split('\n').length - 1;
}

/** Sessions of a database, as seen from another one. */
async function sessions(): Promise<number> {
  const client = new Client({ connectionString: process.env['DATABASE_URL'] });
  await client.connect();
  try {
    const name = new URL(database.url).pathname.slice(1);
    const { rows } = await client.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1',
      [name],
    );
    return rows[0]?.n ?? -1;
  } finally {
    await client.end();
  }
}

/** Attaches with the given Redis, counts one post by way of a worker, and closes everything. */
async function countOnce(redis: CountersOptions['redis']): Promise<void> {
  const dataSource = newDataSource(database.url, [Author, Post]);
  const counters = await Counters.attach(dataSource, { ...TEST_OPTIONS, redis });
  const errors: unknown[] = [];
  counters.on('error', (error) => errors.push(error));
  await dataSource.initialize();
  await counters.startWorker();
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 1);
  await counters.close();
  await dataSource.destroy();
  expect(errors).toEqual([]);
}

async function expectNothingOpen(others = 0): Promise<void> {
  await until(async () => (await clients()) === others);
  await until(async () => (await sessions()) === 0);
}

describe('the redis option', () => {
  test('with a connection name: the connections carry it', async () => {
    const counters = await Counters.attach(newDataSource(database.url, [Author, Post]), {
      ...TEST_OPTIONS,
      redis: { port: server.port, connectionName: 'counted' },
    });
    await until(async () => ((await observer.client('LIST')) as string).split(' name=counted ').length === 3);
    await counters.close();
  });

  test('as a URL', async () => {
    await countOnce(server.url);
    await expectNothingOpen();
  });

  test('as options', async () => {
    await countOnce({ host: '127.0.0.1', port: server.port });
    await expectNothingOpen();
  });

  test("as the user's own client, which is used for its settings only and never closed", async () => {
    const own = new Redis(server.url);
    await own.set('mine', 'kept');
    await countOnce(own);
    expect(own.status).toBe('ready');
    expect(await own.get('mine')).toBe('kept');
    await expectNothingOpen(1);
    own.disconnect();
  });

  test('as a client that was never connected', async () => {
    const own = new Redis(server.url, { lazyConnect: true });
    await countOnce(own);
    expect(own.status).toBe('wait');
    await expectNothingOpen();
  });

  test.each(['url', 'options', 'client'])('keeps to its own database: %s', async (form) => {
    await observer.flushall();
    const own = new Redis(server.url, { db: 3, lazyConnect: true });
    await countOnce({ url: `${server.url}/3`, options: { port: server.port, db: 3 }, client: own }[form]);
    expect(await keysOf(observer, '*')).toEqual([]);
    await own.connect();
    const keys = await keysOf(own, '*');
    expect(keys.some((key) => key.startsWith('{cc:'))).toBe(true);
    expect(keys.some((key) => key.startsWith('bull:cc-'))).toBe(true);
    own.disconnect();
  });
});

describe('a process that closes everything', () => {
  test.each(['false', 'true'])('ends by itself (destroy() first: %s)', async (destroysFirst) => {
    const program = startChild(join(__dirname, 'exit-program.ts'), {
      PROGRAM_DATABASE: database.url,
      PROGRAM_REDIS: server.url,
      PROGRAM_DESTROYS_FIRST: destroysFirst,
    });
    expect(await ended(program)).toBe('0');
    await expectNothingOpen();
  });
});

test('a connection that breaks before its first answer is made anew', async () => {
  const proxy = await startProxy({ host: '127.0.0.1', port: server.port });
  const isCut = proxy.interrupt({ when: () => true, lose: 'request' });
  await countOnce(`redis://127.0.0.1:${proxy.port}`);
  await expect(isCut).resolves.toBeUndefined();
  await proxy.close();
});

describe('a Redis that cannot be reached at attach', () => {
  const timeouts = { ...TEST_OPTIONS, attachTimeout: 300, redisTimeout: 100 };

  async function expectRefusal(redis: CountersOptions['redis']): Promise<void> {
    const dataSource = newDataSource(database.url, [Author, Post]);
    const start = performance.now();
    await expect(Counters.attach(dataSource, { ...timeouts, redis })).rejects.toThrow(BufferUnavailableError);
    expect(performance.now() - start).toBeLessThan(2_000);
    // Nothing of the attempt is left: it may be tried again.
    const counters = await Counters.attach(dataSource, { ...timeouts, redis: server.url, attachTimeout: 5_000 });
    await dataSource.initialize();
    await counters.close();
    await dataSource.destroy();
  }

  test('because nobody listens: rejects within attachTimeout', async () => {
    await expectRefusal('redis://127.0.0.1:1');
  });

  test('because it accepts and never answers: rejects within attachTimeout, and hangs up', async () => {
    const sockets = new Set<Socket>();
    const silent: Server = createServer((socket) => {
      sockets.add(
        socket
          .resume()
          .on('close', () => sockets.delete(socket))
          .on('error', () => undefined),
      );
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    await expectRefusal({ host: '127.0.0.1', port });
    const program = startChild(join(__dirname, 'refused-program.ts'), {
      PROGRAM_DATABASE: database.url,
      PROGRAM_REDIS: `redis://127.0.0.1:${port}`,
    });
    expect(await ended(program)).toBe('0');
    await until(() => sockets.size === 0);
    await new Promise((resolve) => silent.close(resolve));
  });

  test('because the password is wrong: says so', async () => {
    await observer.config('SET', 'requirepass', 'secret');
    const dataSource = newDataSource(database.url, [Author, Post]);
    await expect(Counters.attach(dataSource, { ...timeouts, redis: server.url })).rejects.toThrow(/NOAUTH|refused/);
    await countOnce(`redis://:secret@127.0.0.1:${server.port}`);
    await observer.config('SET', 'requirepass', '');
  });
});
