import type { Pool, PoolClient } from 'pg';
import type { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, Comment, copyTables, ENTITIES, execute, Post } from './schemas';

const poolOf = ({ driver }: DataSource): Pool => (driver as unknown as { master: Pool }).master;

const REFUSED = { code: 'WRITE_FAILED' };

describeVersions('a search path of whole sessions', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let f: Fixture;

    beforeEach(async () => {
      f = await setup({ entities: ENTITIES, server: server(), counters: { mode } });
      await f.dataSource.manager.save(Author, { id: 1 });
      // Both schemas take ids from one sequence.
      await execute(f.databaseUrl, `SELECT setval('post_id_seq', 10)`);
      await f.dataSource.manager.insert(Post, { authorId: 1 });
      await copyTables(f.databaseUrl, 'a');
    });
    afterEach(async () => {
      await f.close();
      expect(f.errors).toEqual([]);
    });

    async function expectPublicOnly(): Promise<void> {
      await f.counters.flush();
      const counts = `SELECT (SELECT "postsCount" FROM public.author) AS counted, (SELECT count(*)::int FROM a.post) AS others,
        (SELECT "postsCount" FROM a.author) AS other, (SELECT count(*)::int FROM public.counter_cache_outbox) AS waiting`;
      expect(await execute(f.databaseUrl, counts)).toEqual([{ counted: 1, others: 3, other: 0, waiting: 0 }]);
      expect(await f.counters.verify()).toMatchObject({ fixedCount: 0 });
    }

    /** New connections only. */
    async function reconnect(): Promise<void> {
      const pool = poolOf(f.dataSource);
      const before = pool.totalCount;
      let removed = 0;
      pool.on('remove', () => (removed += 1));
      await execute(
        f.databaseUrl,
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
      await until(() => removed >= before);
    }

    test('set by a hook of the pool: an insert that would commit by itself is refused, and leaves nothing', async () => {
      poolOf(f.dataSource).on('connect', (client: PoolClient) => void client.query('SET search_path = a'));
      poolOf(f.dataSource).on('error', () => undefined);
      await reconnect();
      await expect(f.dataSource.manager.insert(Post, { authorId: 1 })).rejects.toMatchObject(REFUSED);
      await expect(f.dataSource.manager.insert(Comment, { postId: 1 })).rejects.toMatchObject(REFUSED);
      await expect(f.dataSource.manager.save(Post, { authorId: 1 })).rejects.toMatchObject(REFUSED);
      await expectPublicOnly();
    });

    test('set for the database while it is used', async () => {
      poolOf(f.dataSource).on('error', () => undefined);
      await execute(
        f.databaseUrl,
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = a', current_database()); END $$`,
      );
      await reconnect();
      await expect(f.dataSource.manager.insert(Post, { authorId: 1 })).rejects.toMatchObject(REFUSED);
      // What it means is looked up again, by the path of the opening.
      await expect(f.dataSource.manager.insert(Post, { authorId: 1 })).rejects.toMatchObject(REFUSED);
      await expectPublicOnly();
    });

    test('the table is made anew by others: its writes are counted', async () => {
      await execute(
        f.databaseUrl,
        `ALTER TABLE public.post RENAME TO old_post;
         CREATE TABLE public.post (LIKE public.old_post INCLUDING ALL);
         INSERT INTO public.post SELECT * FROM public.old_post`,
      );
      await f.dataSource.manager.insert(Post, { authorId: 1 });
      await f.dataSource.transaction((manager) => manager.insert(Post, { authorId: 1 }));
      await f.counters.flush();
      expect(await execute(f.databaseUrl, 'SELECT "postsCount" AS n FROM public.author')).toEqual([{ n: 3 }]);
      expect(await f.counters.verify()).toMatchObject({ fixedCount: 0 });
    });

    test('the table becomes a view of another: its writes are counted, and those to a view of another schema are not', async () => {
      await execute(
        f.databaseUrl,
        `ALTER TABLE public.post RENAME TO stored_post; CREATE VIEW public.post AS SELECT * FROM public.stored_post;
         ALTER VIEW public.post ALTER id SET DEFAULT 1000; ALTER VIEW public.post ALTER title SET DEFAULT '';
         ALTER VIEW public.post ALTER "tagsCount" SET DEFAULT 0; SELECT count(*) FROM public.stored_post`,
      );
      // The first statement finds out.
      await f.dataSource.manager.insert(Post, { id: 1_001, authorId: 1 }).catch(() => undefined);
      await f.dataSource.manager.insert(Post, { id: 1_002, authorId: 1 });
      const work = f.dataSource.transaction(async (manager) => {
        await manager.query('SET LOCAL search_path = a');
        await manager.insert(Post, { id: 1_003, authorId: 1 });
      });
      await expect(work).rejects.toMatchObject(REFUSED);
      await f.counters.flush();
      const [{ truth } = {}] = await execute(f.databaseUrl, 'SELECT count(*)::int AS truth FROM public.post');
      expect(await execute(f.databaseUrl, 'SELECT "postsCount" AS n FROM public.author')).toEqual([{ n: truth }]);
    });
  });

  test('a partition that others add: its rows are counted', async () => {
    const prepare = (url: string) =>
      execute(
        url,
        `CREATE TABLE post (id serial, title text NOT NULL DEFAULT '', slot integer, "deletedAt" timestamptz, "authorId" integer NOT NULL, "tagsCount" integer NOT NULL DEFAULT 0,
           PRIMARY KEY (id, "authorId")) PARTITION BY RANGE ("authorId");
         CREATE TABLE post_1 PARTITION OF post FOR VALUES FROM (1) TO (2);
         CREATE TABLE author (id serial PRIMARY KEY, "postsCount" integer NOT NULL DEFAULT 0, "commentsCount" integer NOT NULL DEFAULT 0);
         CREATE TABLE comment (id serial PRIMARY KEY, "postId" integer); CREATE TABLE tagging ("postId" integer, tag text, PRIMARY KEY ("postId", tag))`,
      ).then(() => undefined);
    // The posts are no targets: by their id alone no key of the partitions tells them apart.
    const entities = [Author, Post];
    const f = await setup({ entities, server: server(), prepare, dataSource: { synchronize: false } });
    try {
      await f.dataSource.query(await tablesSql(f));
      await f.dataSource.manager.save(Author, [{ id: 1 }, { id: 2 }]);
      await f.dataSource.manager.insert(Post, { authorId: 1 });
      await execute(f.databaseUrl, 'CREATE TABLE post_2 PARTITION OF post FOR VALUES FROM (2) TO (3)');
      await f.dataSource.manager.insert(Post, { authorId: 2 });
      await f.dataSource.manager.insert(Post, { authorId: 2 });
      await f.dataSource.manager.update(Post, { authorId: 2 }, { authorId: 1 });
      await f.dataSource.manager.insert(Post, { authorId: 2 });
      await f.counters.flush();
      expect(await execute(f.databaseUrl, 'SELECT "postsCount" AS n FROM author ORDER BY id')).toEqual([
        { n: 3 },
        { n: 1 },
      ]);
    } finally {
      await f.close();
    }
    expect(f.errors).toEqual([]);
  });
});

/** The SQL that the library says is missing. */
async function tablesSql({ counters }: Fixture): Promise<string> {
  const error = await counters.flush().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return (error as { sql: string }).sql;
}

describeVersions('a DataSource per schema', (server) => {
  let database: TestDatabase;
  let sources: DataSource[];
  let counters: Counters[];

  const SCHEMAS = ['public', 'a', 'b'] as const;

  beforeAll(async () => {
    database = await createDatabase(server());
    await execute(database.url, 'CREATE SCHEMA a; CREATE SCHEMA b');
    sources = SCHEMAS.map((schema) => newDataSource(database.url, [...ENTITIES], { schema }));
    counters = [];
    for (const source of sources) {
      counters.push(await Counters.attach(source, { redis: redisUrl(), ...TEST_OPTIONS }));
      await source.initialize();
    }
  });
  afterAll(async () => {
    const installations = await Promise.all(
      SCHEMAS.map((schema) =>
        execute(database.url, `SELECT value FROM ${schema}.counter_cache_state WHERE id = 'installation'`),
      ),
    );
    for (const one of counters) await one.close();
    for (const source of sources) await source.destroy();
    await database.drop();
    for (const [row] of installations) await deleteKeysOf(String(row?.['value']));
  });

  test('each has its own installation; 1, 2 and 3 posts are counted 1, 2 and 3', async () => {
    for (const [i, source] of sources.entries()) {
      await source.manager.save(Author, { id: 1 });
      for (let n = 0; n <= i; n++) await source.manager.insert(Post, { authorId: 1 });
    }
    for (const one of counters) await one.flush();
    for (const [i, schema] of SCHEMAS.entries())
      expect(await execute(database.url, `SELECT "postsCount" AS n FROM ${schema}.author`)).toEqual([{ n: i + 1 }]);
    for (const one of counters) expect(await one.verify()).toMatchObject({ fixedCount: 0 });
  });

  test('whatever the search path of their requests is', async () => {
    for (const [i, source] of sources.entries())
      await source.transaction(async (manager) => {
        await manager.query(`SET LOCAL search_path = ${SCHEMAS[(i + 1) % 3]}`);
        await manager.insert(Post, { authorId: 1 });
      });
    for (const one of counters) await one.flush();
    for (const [i, schema] of SCHEMAS.entries())
      expect(await execute(database.url, `SELECT "postsCount" AS n FROM ${schema}.author`)).toEqual([{ n: i + 2 }]);
  });
});
