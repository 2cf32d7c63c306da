import { Counters } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { Author, Comment, copyTables, ENTITIES, execute, Post } from './schemas';

const ROLE = `cc_places_${process.pid}`;

function urlOf(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = ROLE;
  url.password = 'secret';
  return url.href;
}

describeVersions('another role', (server) => {
  let f: Fixture;

  beforeEach(async () => {
    f = await setup({ entities: ENTITIES, server: server() });
    await execute(f.databaseUrl, `CREATE ROLE ${ROLE} LOGIN PASSWORD 'secret'`);
    await f.dataSource.manager.save(Author, { id: 1 });
  });
  afterEach(async () => {
    await execute(f.databaseUrl, `DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`);
    await f.close();
  });

  test('whose search path means other tables is refused, though it would use the same tables of ours', async () => {
    await copyTables(f.databaseUrl, 'a');
    await execute(
      f.databaseUrl,
      `ALTER ROLE ${ROLE} SET search_path = a, public;
       GRANT USAGE ON SCHEMA a TO ${ROLE}; GRANT ALL ON ALL TABLES IN SCHEMA public, a TO ${ROLE}`,
    );
    const other = newDataSource(urlOf(f.databaseUrl), [...ENTITIES], { synchronize: false });
    const counters = await Counters.attach(other, { redis: redisUrl(), ...TEST_OPTIONS });
    await expect(other.initialize()).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringMatching(
        /expected the table (author|post|comment|tagging) to be public\.\w+.*got: a\.\w+.*`schema`/,
      ) as unknown,
    });
    await counters.close();
  });

  test('that may write to the tables of users and to the outbox only: it attaches, and is counted', async () => {
    await execute(
      f.databaseUrl,
      `GRANT ALL ON author, post, comment, tagging TO ${ROLE}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${ROLE};
       GRANT SELECT ON counter_cache_state, counter_cache_shard TO ${ROLE}; GRANT SELECT, INSERT ON counter_cache_outbox TO ${ROLE}`,
    );
    const other = newDataSource(urlOf(f.databaseUrl), [...ENTITIES], { synchronize: false });
    const counters = await Counters.attach(other, { redis: redisUrl(), ...TEST_OPTIONS });
    const events: unknown[] = [];
    counters.on('error', (error) => events.push(error)).on('degraded', ({ error }) => events.push(error));
    await other.initialize();
    await other.manager.insert(Post, { authorId: 1 });
    await counters.settled();
    await counters.close();
    await other.destroy();
    await f.counters.flush();
    expect(await f.dataSource.manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ postsCount: 1 });
    expect(events.filter((error) => !String(error).includes('definitions'))).toEqual([]);
  });

  test('that may read single columns only is counted, and refused in another schema', async () => {
    await copyTables(f.databaseUrl, 'a');
    const granted = `GRANT SELECT (id, "authorId", "deletedAt", title, slot) ON`;
    await execute(
      f.databaseUrl,
      `GRANT USAGE ON SCHEMA a TO ${ROLE}; GRANT INSERT ON post, a.post TO ${ROLE}; ${granted} post TO ${ROLE}; ${granted} a.post TO ${ROLE};
       GRANT SELECT ("tagsCount") ON post TO ${ROLE}; GRANT SELECT ("tagsCount") ON a.post TO ${ROLE};
       GRANT ALL ON author TO ${ROLE}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${ROLE};
       GRANT ALL ON counter_cache_state, counter_cache_shard, counter_cache_ledger, counter_cache_outbox TO ${ROLE};
       SELECT setval('post_id_seq', 50)`,
    );
    const other = newDataSource(urlOf(f.databaseUrl), [...ENTITIES], { synchronize: false });
    const counters = await Counters.attach(other, { redis: redisUrl(), ...TEST_OPTIONS });
    await other.initialize();
    await other.manager.insert(Post, { authorId: 1 });
    const work = other.transaction(async (manager) => {
      await manager.query('SET LOCAL search_path = a');
      await manager.insert(Post, { authorId: 1 });
    });
    await expect(work).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    await counters.settled();
    await counters.close();
    await other.destroy();
    await f.counters.flush();
    expect(await f.dataSource.manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ postsCount: 1 });
  });
});

describeVersions('processes of one installation', (server) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase(server());
  });
  afterAll(async () => {
    await database.drop();
  });

  test('mean the same table after it was moved to another schema', async () => {
    const open = async () => {
      const dataSource = newDataSource(database.url, [...ENTITIES], { synchronize: false });
      const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
      await dataSource.initialize();
      return { dataSource, counters };
    };
    const first = newDataSource(database.url, [...ENTITIES]);
    const counters = await Counters.attach(first, { redis: redisUrl(), ...TEST_OPTIONS });
    await first.initialize();
    await first.manager.save(Author, { id: 1 });
    await counters.close();
    await first.destroy();
    await execute(
      database.url,
      `CREATE SCHEMA shop; ALTER TABLE comment SET SCHEMA shop;
       DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, shop', current_database()); END $$`,
    );
    const moved = await open();
    const post = await moved.dataSource.manager.save(Post, { authorId: 1 });
    await moved.dataSource.manager.insert(Comment, { postId: post.id });
    await moved.counters.flush();
    expect(await moved.dataSource.manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ commentsCount: 1 });
    await moved.counters.close();
    await moved.dataSource.destroy();
    await deleteKeysOf((await database.installation()) ?? '');
  });
});
