import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';
import { Counters, type CountersOptions } from 'typeorm-counter-cache';

import { createDatabase, execute as executeOn, type TestDatabase } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { type PostgresServer, startPostgres } from '../../support/services';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, ENTITIES, execute, Post } from './schemas';

interface Opened {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly errors: unknown[];
  close(): Promise<void>;
}

/** A process on a database; no worker, unless it is started. */
async function open(url: string, options: Partial<CountersOptions> = {}): Promise<Opened> {
  const dataSource = newDataSource(url, [...ENTITIES]);
  const errors: unknown[] = [];
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
  counters.on('error', (error) => errors.push(error));
  await dataSource.initialize();
  return {
    dataSource,
    counters,
    errors,
    async close() {
      await counters.close();
      await dataSource.destroy();
    },
  };
}

async function installationOf(url: string): Promise<string> {
  const [row] = await execute(url, `SELECT value FROM counter_cache_state WHERE id = 'installation'`);
  return String(row?.['value']);
}

async function expectCounts(url: string, expected: number): Promise<void> {
  const counts = () =>
    execute(url, 'SELECT "postsCount" AS counted, (SELECT count(*)::int FROM post) AS posts FROM author');
  await until(async () => (await counts())[0]?.['counted'] === expected).catch(() => undefined);
  expect(await counts()).toEqual([{ counted: expected, posts: expected }]);
}

const COPY: unknown = expect.objectContaining({
  code: 'BUFFER_LOST',
  message: expect.stringContaining('this database is a copy') as unknown,
});

describeVersions('a database that is made from another one as its template', (server) => {
  test.each(['buffered', 'outbox'] as const)('%s: each counts its own, on one Redis', async (mode) => {
    const original = await createDatabase(server());
    const first = await open(original.url, { mode, wait: 600_000 });
    await first.dataSource.manager.save(Author, { id: 1 });
    await first.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }]);
    // Two more, which wait.
    await first.counters.flush();
    await first.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }]);
    await first.counters.settled();
    await first.close();
    const name = new URL(original.url).pathname.slice(1);
    const copy = `${name}_copy`;
    await executeOn(server(), `CREATE DATABASE ${copy} TEMPLATE ${name}`);
    const url = new URL(original.url);
    url.pathname = `/${copy}`;
    const one = await open(original.url, { mode });
    const other = await open(url.href, { mode });
    try {
      await one.counters.startWorker();
      await other.counters.startWorker();
      await one.dataSource.manager.insert(Post, [{ authorId: 1 }]);
      await other.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }, { authorId: 1 }]);
      await expectCounts(original.url, 5);
      await expectCounts(url.href, 7);
      expect(await one.counters.verify()).toMatchObject({ fixedCount: 0 });
      expect(await other.counters.verify()).toMatchObject({ fixedCount: 0 });
      expect(await installationOf(url.href)).not.toBe(await installationOf(original.url));
      expect(one.errors).toEqual([]);
      expect(other.errors).toEqual([COPY]);
    } finally {
      const installations = [await installationOf(original.url), await installationOf(url.href)];
      await one.close();
      await other.close();
      await executeOn(server(), `DROP DATABASE ${copy} WITH (FORCE)`);
      await original.drop();
      for (const id of installations) await deleteKeysOf(id);
    }
  });

  test('several processes that open the copy at once: one of them makes the installation, and tells', async () => {
    const original = await createDatabase(server());
    const first = await open(original.url);
    await first.dataSource.manager.save(Author, { id: 1 });
    await first.dataSource.manager.insert(Post, { authorId: 1 });
    await first.close();
    const name = new URL(original.url).pathname.slice(1);
    const copy = `${name}_copy`;
    await executeOn(server(), `CREATE DATABASE ${copy} TEMPLATE ${name}`);
    const url = new URL(original.url);
    url.pathname = `/${copy}`;
    const processes = await Promise.all(Array.from({ length: 4 }, () => open(url.href)));
    try {
      await processes[0]?.counters.startWorker();
      for (const { dataSource } of processes) await dataSource.manager.insert(Post, { authorId: 1 });
      await expectCounts(url.href, 5);
      const told = processes.flatMap(({ errors }) => errors);
      expect(told.filter((error) => String(error).includes('is a copy'))).toHaveLength(1);
      await until(async () => {
        const waiting = await execute(url.href, 'SELECT 1 FROM counter_cache_shard WHERE rebuilding IS NOT NULL');
        return waiting.length === 0;
      });
    } finally {
      const installations = [await installationOf(original.url), await installationOf(url.href)];
      for (const one of processes) await one.close();
      await executeOn(server(), `DROP DATABASE ${copy} WITH (FORCE)`);
      await original.drop();
      for (const id of installations) await deleteKeysOf(id);
    }
  });
});

describe('a dump that is restored into another cluster, with Redis kept', () => {
  let old: PostgresServer;
  let database: TestDatabase;

  beforeAll(async () => {
    old = await startPostgres({ version: 15 });
    database = await createDatabase();
  });
  afterAll(async () => {
    await database.drop();
    await old.stop();
  });

  /** Tables and rows, as `pg_dump` would. */
  async function dump(from: string, to: string): Promise<void> {
    const tables = [
      'author',
      'post',
      'comment',
      'tagging',
      'counter_cache_state',
      'counter_cache_shard',
      'counter_cache_ledger',
      'counter_cache_outbox',
    ];
    const fresh = newDataSource(to, [...ENTITIES, ...(await import('typeorm-counter-cache')).counterCacheEntities]);
    await fresh.initialize();
    await fresh.destroy();
    for (const table of tables) {
      const rows = await execute(from, `SELECT to_jsonb(t) AS row FROM ${table} t`);
      await executeOn(to, `INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`, [
        JSON.stringify(rows.map(({ row }) => row)),
      ]);
    }
    await execute(to, `SELECT setval('post_id_seq', 1000)`);
  }

  test('barriers of the old cluster, whose transaction ids are higher, hold up nothing', async () => {
    const first = await open(old.url);
    await first.dataSource.manager.save(Author, { id: 1 });
    await first.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }]);
    await first.counters.flush();
    await execute(old.url, `DO $$ BEGIN FOR i IN 1..30000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`);
    // A recount behind a barrier of this cluster, which nobody fulfils.
    const id = await installationOf(old.url);
    await first.close();
    const redis = new Redis(redisUrl());
    for (const key of await redis.keys(`{cc:${id}:*:barriers`)) await redis.del(key);
    await execute(old.url, `UPDATE counter_cache_shard SET rebuilding = '{}' WHERE epoch > 0`);
    const second = await open(old.url);
    await until(async () => {
      const waiting = await execute(old.url, 'SELECT 1 FROM counter_cache_shard WHERE rebuilding IS NOT NULL');
      return waiting.length === 0;
    });
    await second.dataSource.manager.insert(Post, { authorId: 1 });
    await second.counters.settled();
    await second.close();
    redis.disconnect();
    await dump(old.url, database.url);
    const third = await open(database.url);
    try {
      await third.counters.startWorker();
      await third.dataSource.manager.insert(Post, { authorId: 1 });
      await expectCounts(database.url, 4);
      expect(await third.counters.recalculate()).toMatchObject({
        checked: expect.any(Number) as unknown,
        unsettled: [],
      });
      expect(third.errors).toEqual([COPY]);
    } finally {
      const installations = [id, await installationOf(database.url)];
      await third.close();
      for (const one of installations) await deleteKeysOf(one);
    }
  });
});
