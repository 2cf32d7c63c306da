import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { Counters, type CountersOptions, TablesMissingError } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../support/database';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';

let database: TestDatabase;
const cleanups: (() => unknown)[] = [];

/** A database with the tables of the user and none of ours. */
beforeEach(async () => {
  database = await createDatabase();
  cleanups.push(() => database.drop());
  const user = newDataSource(database.url, [Author, Post]);
  await user.initialize();
  await user.destroy();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function attach(
  overrides: Parameters<typeof newDataSource>[2] = {},
  options: Partial<CountersOptions> = {},
): Promise<{ dataSource: DataSource; counters: Counters }> {
  const dataSource = newDataSource(database.url, [Author, Post], { synchronize: false, ...overrides });
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
  cleanups.push(async () => {
    await counters.close();
    if (dataSource.isInitialized) await dataSource.destroy();
  });
  return { dataSource, counters };
}

async function missing(work: Promise<unknown>): Promise<TablesMissingError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TablesMissingError)) throw new Error(`expected TablesMissingError, got: ${String(error)}`);
  return error;
}

async function expectCounting(dataSource: DataSource, counters: Counters): Promise<void> {
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await counters.flush();
  expect(await dataSource.manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 1 });
}

describe('our tables are missing', () => {
  test('startWorker() says so, with the SQL that helps without another attach', async () => {
    const { dataSource, counters } = await attach();
    await dataSource.initialize();
    const error = await missing(counters.startWorker());
    expect(error).toMatchObject({ code: 'TABLES_MISSING', message: expect.stringContaining(error.sql) as string });
    await dataSource.query(error.sql);
    await counters.startWorker();
    await expectCounting(dataSource, counters);
  });

  test('the first counted write says so and is not committed; writes that count nothing go on', async () => {
    const { dataSource, counters } = await attach();
    await dataSource.initialize();
    const { manager } = dataSource;
    const { id } = await manager.save(Author, { name: 'a' });
    const writes = [
      () => manager.insert(Post, { authorId: id }),
      () => manager.save(Post, { authorId: id }),
      () => dataSource.transaction((inner) => inner.insert(Post, { authorId: id })),
    ];
    const errors: TablesMissingError[] = [];
    for (const write of writes) errors.push(await missing(write()));
    await manager.insert(Post, { authorId: null });
    expect(await manager.count(Post)).toBe(1);
    expect(await openTransactions(dataSource)).toBe(0);
    await dataSource.query(errors[0]?.sql ?? '');
    await expectCounting(dataSource, counters);
  });

  test('many first writes at once are all refused, with a pool as small as theirs', async () => {
    const { dataSource, counters } = await attach({ poolSize: 2 });
    await dataSource.initialize();
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    const errors = await Promise.all(
      Array.from({ length: 8 }, () => missing(dataSource.manager.insert(Post, { authorId: id }))),
    );
    await dataSource.query(errors[0]?.sql ?? '');
    await Promise.all(Array.from({ length: 8 }, () => dataSource.manager.insert(Post, { authorId: id })));
    await counters.flush();
    expect(await dataSource.manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 8 });
  });

  test('the SQL creates what TypeORM would create: no difference is left to generate', async () => {
    const { dataSource, counters } = await attach();
    await dataSource.initialize();
    await dataSource.query((await missing(counters.startWorker())).sql);
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  test('one of them, in an installation older than it: the same SQL adds it', async () => {
    const older = await attach({ synchronize: true });
    await older.dataSource.initialize();
    await expectCounting(older.dataSource, older.counters);
    await older.dataSource.query('DROP TABLE counter_cache_outbox');
    await older.counters.close();
    await older.dataSource.destroy();

    const { dataSource, counters } = await attach();
    await dataSource.initialize();
    const { id } = await dataSource.manager.findOneByOrFail(Author, { name: 'a' });
    const error = await missing(dataSource.manager.insert(Post, { authorId: id }));
    await dataSource.query(error.sql);
    await expectCounting(dataSource, counters);
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  test('`synchronize` creates them for a DataSource that was attached before initialize()', async () => {
    const { dataSource, counters } = await attach({ synchronize: true });
    await dataSource.initialize();
    await expectCounting(dataSource, counters);
  });
});

async function openTransactions(dataSource: DataSource): Promise<number> {
  const rows: { n: number }[] = await dataSource.query(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
  );
  return rows[0]?.n ?? -1;
}

describe('a migration that creates them runs with the library attached', () => {
  async function sqlOfError(): Promise<string> {
    const { dataSource, counters } = await attach();
    await dataSource.initialize();
    return (await missing(counters.startWorker())).sql;
  }

  function migrations(sql: string): (new () => MigrationInterface)[] {
    class CreateCounterCache1700000000001 implements MigrationInterface {
      up(runner: QueryRunner): Promise<void> {
        return runner.query(sql) as Promise<void>;
      }
      async down(): Promise<void> {}
    }
    class WritePosts1700000000002 implements MigrationInterface {
      async up(runner: QueryRunner): Promise<void> {
        const { id } = await runner.manager.save(Author, { name: 'migrated' });
        await runner.manager.insert(Post, { authorId: id });
      }
      async down(): Promise<void> {}
    }
    return [CreateCounterCache1700000000001, WritePosts1700000000002];
  }

  async function expectMigrated(dataSource: DataSource, counters: Counters): Promise<void> {
    await counters.flush();
    expect(await dataSource.manager.findOneByOrFail(Author, { name: 'migrated' })).toMatchObject({ postsCount: 1 });
    await expectCounting(dataSource, counters);
  }

  test('by migrationsRun', async () => {
    const { dataSource, counters } = await attach({
      migrations: migrations(await sqlOfError()),
      migrationsRun: true,
      migrationsTransactionMode: 'each',
    });
    await dataSource.initialize();
    await expectMigrated(dataSource, counters);
  });

  test('by runMigrations()', async () => {
    const { dataSource, counters } = await attach({ migrations: migrations(await sqlOfError()) });
    await dataSource.initialize();
    await dataSource.runMigrations({ transaction: 'each' });
    await expectMigrated(dataSource, counters);
  });

  test('by runMigrations() in one transaction, when none of them counts', async () => {
    const [create] = migrations(await sqlOfError());
    if (create === undefined) throw new Error('no migration');
    const { dataSource, counters } = await attach({ migrations: [create] });
    await dataSource.initialize();
    await dataSource.runMigrations({ transaction: 'all' });
    await expectCounting(dataSource, counters);
  });
});

describe('the number of shards', () => {
  beforeEach(async () => {
    const { dataSource } = await attach({ synchronize: true }, { shards: 4 });
    await dataSource.initialize();
  });

  test('is the same for all: a process that disagrees is refused when it initializes', async () => {
    const { dataSource } = await attach({}, { shards: 8 });
    await expect(dataSource.initialize()).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringContaining('expected shards of this installation to be 8, got: 4') as string,
    });
    // As after any other failure of initialize(): no pool is left open.
    expect(dataSource.isInitialized).toBe(false);
  });

  test('is checked by attach, when that comes after initialize()', async () => {
    const dataSource = newDataSource(database.url, [Author, Post], { synchronize: false });
    await dataSource.initialize();
    const options = { redis: redisUrl(), ...TEST_OPTIONS };
    await expect(Counters.attach(dataSource, { ...options, shards: 8 })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
    });
    const counters = await Counters.attach(dataSource, { ...options, shards: 4 });
    await expectCounting(dataSource, counters);
    await counters.close();
    await dataSource.destroy();
  });
});

describe('our tables are emptied beneath a process', () => {
  test.each(['counter_cache_shard', 'counter_cache_state'])(
    '%s: what is applied says so, and the next process makes the rows anew and recounts',
    async (table) => {
      const first = await attach({ synchronize: true });
      await first.dataSource.initialize();
      await expectCounting(first.dataSource, first.counters);
      await first.dataSource.query(`DELETE FROM ${table}`);
      await first.dataSource.manager.insert(Post, { authorId: 1 });
      const error = {
        code: 'STATE_MISMATCH',
        message: expect.stringContaining('the tables were emptied') as string,
        context: { shard: '"public"."counter_cache_shard"', state: '"public"."counter_cache_state"' },
      };
      await expect(first.counters.flush()).rejects.toMatchObject(error);
      await first.counters.close();
      // The batch that could not be applied is taken over.
      const second = await attach({}, { claimTimeout: 100, sweepInterval: 50 });
      await second.dataSource.initialize();
      const worker = await second.counters.startWorker();
      const { manager } = second.dataSource;
      await until(async () => (await manager.findOneByOrFail(Author, { id: 1 })).postsCount === 2);
      await worker.close();
      await expectCounting(second.dataSource, second.counters);
    },
  );
});
