import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { Counters, type Mode } from 'typeorm-counter-cache';

import { type Proxy, startDatabaseProxy } from '../support/proxy';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { Author, Post, TRUTH } from './blog';

const REFUSED = { code: 'WRITE_FAILED', message: expect.stringContaining('got no answer') as unknown };

describe.each<Mode>(['buffered', 'outbox'])('%s: what pg gives up waiting for', (mode) => {
  let fixture: Fixture;
  let proxy: Proxy;
  let dataSource: DataSource;
  let counters: Counters;
  let authorId: number;
  beforeEach(async () => {
    fixture = await setup({ entities: [Author, Post], counters: { mode } });
    ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
    const started = await startDatabaseProxy(fixture.databaseUrl);
    ({ proxy } = started);
    const limits = { synchronize: false, poolSize: 2, extra: { query_timeout: 1_000 } };
    dataSource = newDataSource(started.url, [Author, Post], limits);
    counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, mode });
    await dataSource.initialize();
    await dataSource.manager.insert(Post, { authorId });
    await dataSource.manager.insert(Post, { authorId });
  });
  afterEach(async () => {
    await counters.close();
    await dataSource.destroy();
    await proxy.close();
    await fixture.close();
  });

  /** Does something whose statement the database executes, and whose answer comes too late. */
  async function giveUp(text: string, work: () => Promise<unknown>): Promise<void> {
    const { release } = proxy.withhold((request) => request.includes(text));
    await expect(work()).rejects.toThrow('Query read timeout');
    release();
  }

  async function inTransaction(work: (runner: QueryRunner, manager: EntityManager) => Promise<void>): Promise<void> {
    const runner = dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await work(runner, runner.manager);
    } finally {
      if (runner.isTransactionActive) await runner.rollbackTransaction();
      await runner.release();
    }
  }

  async function expectRight(posts: number): Promise<void> {
    await counters.settled();
    await counters.flush();
    const [row] = await fixture.dataSource.query<Record<string, number>[]>(TRUTH);
    expect(row).toMatchObject({ posts, postsCount: posts, likesSum: row?.['likes'] });
  }

  const WRITES: readonly (readonly [string, string, (manager: EntityManager) => Promise<unknown>])[] = [
    ['an insert', '"post"', (manager) => manager.insert(Post, { authorId })],
    ['a delete', 'DELETE FROM "post"', (manager) => manager.delete(Post, { authorId })],
    ['an update', 'UPDATE "post"', (manager) => manager.update(Post, { authorId }, { likes: 5 })],
    [
      'an insert in place of a row',
      'INSERT INTO "post"',
      (manager) => manager.upsert(Post, { id: 1, authorId }, ['id']),
    ],
  ];

  test.each(WRITES)('%s keeps its transaction from COMMIT', async (_, text, write) => {
    await inTransaction(async (runner, manager) => {
      await giveUp(text, () => write(manager));
      await expect(runner.commitTransaction()).rejects.toMatchObject(REFUSED);
    });
    await expectRight(2);
  });

  test.each(WRITES)('%s since a savepoint that is rolled back to does not', async (_, text, write) => {
    await inTransaction(async (runner, manager) => {
      await manager.insert(Post, { authorId });
      await runner.query('SAVEPOINT before');
      await giveUp(text, () => write(manager));
      await runner.query('ROLLBACK TO SAVEPOINT before');
      await runner.commitTransaction();
    });
    await expectRight(3);
  });

  async function giveUpGoingBack(runner: QueryRunner, manager: EntityManager): Promise<void> {
    await runner.query('SAVEPOINT before');
    await manager.insert(Post, { authorId });
    await giveUp('ROLLBACK TO', () => runner.query('ROLLBACK TO SAVEPOINT before'));
  }

  test('a ROLLBACK TO SAVEPOINT keeps its transaction from COMMIT', async () => {
    await inTransaction(async (runner, manager) => {
      await giveUpGoingBack(runner, manager);
      await expect(runner.commitTransaction()).rejects.toMatchObject(REFUSED);
    });
    await expectRight(2);
  });

  test('a ROLLBACK TO SAVEPOINT that is sent again does not', async () => {
    await inTransaction(async (runner, manager) => {
      await giveUpGoingBack(runner, manager);
      await runner.query('ROLLBACK TO SAVEPOINT before');
      await runner.commitTransaction();
    });
    await expectRight(2);
  });

  test('a SAVEPOINT can be rolled back to', async () => {
    await inTransaction(async (runner, manager) => {
      await manager.insert(Post, { authorId });
      await giveUp('SAVEPOINT', () => runner.query('SAVEPOINT before'));
      await manager.insert(Post, { authorId });
      await runner.query('ROLLBACK TO SAVEPOINT before');
      await runner.commitTransaction();
    });
    await expectRight(3);
  });

  if (mode === 'outbox')
    test('the INSERT into the outbox keeps a COMMIT that is sent again from succeeding', async () => {
      await inTransaction(async (runner, manager) => {
        await manager.update(Post, { authorId }, { likes: 5 });
        await giveUp('counter_cache_outbox', () => runner.commitTransaction());
        await expect(runner.query('COMMIT')).rejects.toMatchObject(REFUSED);
      });
      await expectRight(2);
    });
});
