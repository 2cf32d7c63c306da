import { Client } from 'pg';
import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { Counters, type Mode } from 'typeorm-counter-cache';

import { type Proxy, startDatabaseProxy } from '../../support/proxy';
import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, Post, TRUTH } from '../blog';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

describeVersions('a pool of one connection, whose statements are given up', (server) => {
  describe.each(MODES)('%s', (mode) => {
    let fixture: Fixture;
    let proxy: Proxy;
    let dataSource: DataSource;
    let counters: Counters;
    let other: Client;
    let authorId: number;

    beforeEach(async () => {
      const options = { mode, claimTimeout: 1_000, intentTimeout: 1_000 };
      fixture = await setup({ entities: [Author, Post], counters: options, server: server() });
      ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
      const started = await startDatabaseProxy(fixture.databaseUrl);
      ({ proxy } = started);
      const limits = { synchronize: false, poolSize: 1, extra: { query_timeout: 1_000 } };
      dataSource = newDataSource(started.url, [Author, Post], limits);
      counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
      await dataSource.initialize();
      await dataSource.manager.insert(Post, { authorId, title: 'first' });
      other = new Client({ connectionString: fixture.databaseUrl });
      await other.connect();
    });
    afterEach(async () => {
      await other.end();
      await counters.close();
      await dataSource.destroy();
      await proxy.close();
      await fixture.close();
    });

    async function titles(): Promise<string[]> {
      const { rows } = await other.query<{ title: string }>('SELECT title FROM post ORDER BY id');
      return rows.map(({ title }) => title);
    }

    /** No connection is in a transaction, and what is written from now on is all that is committed. */
    async function expectOnly(expected: readonly string[]): Promise<void> {
      await until(async () => {
        const { rows } = await other.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
        );
        return rows.length === 0;
      });
      await dataSource.manager.insert(Post, { authorId, title: 'next' });
      expect(await titles()).toEqual([...expected, 'next']);
      await fixture.counters.startWorker();
      await until(async () => {
        const [row] = await fixture.dataSource.query<Record<string, number>[]>(TRUTH);
        return row?.['posts'] === row?.['postsCount'] && row?.['posts'] === expected.length + 1;
      });
    }

    test('a SELECT, and so the ROLLBACK, which pg does not even send', async () => {
      const work = dataSource.transaction(async (manager) => {
        await manager.insert(Post, { authorId, title: 'rolled back' });
        await manager.query('SELECT pg_sleep(3)');
      });
      await expect(work).rejects.toThrow('Query read timeout');
      await expectOnly(['first']);
    });

    test('the same in a transaction that counts nothing', async () => {
      const work = dataSource.transaction(async (manager) => {
        await manager.query(`INSERT INTO post (title) VALUES ('rolled back')`);
        await manager.query('SELECT pg_sleep(3)');
      });
      await expect(work).rejects.toThrow('Query read timeout');
      await expectOnly(['first']);
    });

    test('a BEGIN that is answered too late', async () => {
      const { release } = proxy.withhold((request) => request.includes('START TRANSACTION'));
      const work = dataSource.transaction((manager) => manager.insert(Post, { authorId, title: 'never' }));
      await expect(work).rejects.toThrow('Query read timeout');
      release();
      await expectOnly(['first']);
    });

    test('a COMMIT that pg does not send, of a transaction of ours around one insert', async () => {
      await other.query('BEGIN; LOCK TABLE post IN EXCLUSIVE MODE');
      const work = dataSource.manager.update(Post, { title: 'first' }, { likes: 3 });
      await expect(work).rejects.toThrow('Query read timeout');
      await other.query('COMMIT');
      await expectOnly(['first']);
    });

    test('a COMMIT that was not answered', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.save(Post, { authorId, title: 'second' });
      const { release } = proxy.withhold((request) => request.includes('COMMIT'));
      await expect(runner.commitTransaction()).rejects.toThrow('Query read timeout');
      await runner.release();
      release();
      await until(async () => (await titles()).length === 2);
      await expectOnly(['first', 'second']);
    });

    test('a ROLLBACK, and then another transaction on the same query runner', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Post, { authorId, title: 'rolled back' });
      const { release } = proxy.withhold((request) => request.includes('ROLLBACK'));
      await expect(runner.query('ROLLBACK')).rejects.toThrow('Query read timeout');
      release();
      await runner.query('BEGIN');
      await runner.query(`INSERT INTO post (title) VALUES ('uncounted')`);
      await runner.query('COMMIT');
      await runner.release();
      await other.query(`DELETE FROM post WHERE title = 'uncounted'`);
      await expectOnly(['first']);
    });

    test('a ROLLBACK that pg does not send, and then a COMMIT', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Post, { authorId, title: 'second' });
      await expect(runner.query('SELECT pg_sleep(2.5)')).rejects.toThrow('Query read timeout');
      await expect(runner.query('ROLLBACK')).rejects.toThrow('Query read timeout');
      await until(
        async () =>
          (
            await other.query(
              `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(2.5)' AND datname = current_database()`,
            )
          ).rowCount === 0,
      );
      await runner.query('COMMIT');
      await runner.release();
      await expectOnly(['first', 'second']);
    });
  });
});

describe('a connection is not given back in a transaction', () => {
  let fixture: Fixture;
  let authorId: number;
  beforeEach(async () => {
    fixture = await setup({ entities: [Author, Post], dataSource: { poolSize: 1 } });
    ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
  });
  afterEach(() => fixture.close());

  async function expectOnly(posts: number): Promise<void> {
    const { dataSource, counters } = fixture;
    await dataSource.manager.insert(Post, { authorId });
    await counters.flush();
    const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
    expect(row).toMatchObject({ posts: posts + 1, postsCount: posts + 1 });
  }

  async function begun(): Promise<QueryRunner> {
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Post, { authorId });
    return runner;
  }

  test('whose COMMIT was refused by a subscriber', async () => {
    const { dataSource } = fixture;
    const refusing: EntitySubscriberInterface = {
      beforeQuery: ({ query }) => {
        if (query === 'COMMIT') throw new Error('not now');
      },
    };
    const runner = await begun();
    dataSource.subscribers.push(refusing);
    await expect(runner.commitTransaction()).rejects.toThrow('not now');
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(refusing), 1);
    await runner.release();
    expect(await fixture.counters.status()).toMatchObject({ intents: 0, batches: 0 });
    await expectOnly(0);
  });

  test('whose ROLLBACK was refused by a subscriber, and then its COMMIT sent', async () => {
    const { dataSource } = fixture;
    const refusing: EntitySubscriberInterface = {
      beforeQuery: ({ query }) => {
        if (query === 'ROLLBACK') throw new Error('not now');
      },
    };
    const runner = await begun();
    dataSource.subscribers.push(refusing);
    await expect(runner.rollbackTransaction()).rejects.toThrow('not now');
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(refusing), 1);
    await runner.commitTransaction();
    await runner.release();
    await expectOnly(1);
  });

  test('that nobody ended', async () => {
    await (await begun()).release();
    await expectOnly(0);
  });

  test('that nobody ended, and which has failed', async () => {
    const runner = await begun();
    await expect(runner.query('SELECT 1 / 0')).rejects.toThrow('division by zero');
    await runner.release();
    await expectOnly(0);
  });

  test('but a COMMIT that was not awaited goes through', async () => {
    const runner = await begun();
    const committed = runner.query('COMMIT');
    await runner.release();
    await committed;
    await expectOnly(1);
  });

  test('nor taken when somebody else has left one in the pool', async () => {
    const { master } = fixture.dataSource.driver as unknown as {
      master: { connect(): Promise<Client & { release(): void }> };
    };
    const client = await master.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO post ("authorId") VALUES (${authorId})`);
    client.release();
    await expectOnly(0);
  });
});
