import { Client } from 'pg';
import { Counters } from 'typeorm-counter-cache';

import { startDatabaseProxy } from '../support/proxy';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';

let fixture: Fixture;
let other: Client;
let authorId: number;
beforeEach(async () => {
  // Statements of ours that wait for a lock are given up by `pg` before the database answers, and so is their ROLLBACK.
  fixture = await setup({
    entities: [Author, Post],
    dataSource: { poolSize: 1, extra: { query_timeout: 1_000 } },
    counters: { claimTimeout: 1_000 },
  });
  ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
  await fixture.dataSource.manager.insert(Post, { authorId });
  await fixture.counters.settled();
  other = new Client({ connectionString: fixture.databaseUrl });
  await other.connect();
});
afterEach(async () => {
  await other.end();
  await fixture.close();
});

async function holding(table: string, work: () => Promise<unknown>): Promise<void> {
  await other.query(`BEGIN; LOCK TABLE ${table} IN EXCLUSIVE MODE`);
  try {
    await work();
  } finally {
    await other.query('COMMIT');
  }
}

/** What the one connection of the pool writes now is committed. */
async function expectWritable(): Promise<void> {
  await fixture.dataSource.query(`INSERT INTO author (name, version) VALUES ('b', 1)`);
  const { rows } = await other.query(`SELECT name FROM author ORDER BY id`);
  expect(rows).toEqual([{ name: 'a' }, { name: 'b' }]);
}

async function expectRight(): Promise<void> {
  const { dataSource, counters } = fixture;
  // It takes over what was claimed.
  await counters.startWorker();
  await until(async () => {
    const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
    return row?.['posts'] === row?.['postsCount'];
  });
}

test('an insert that times out, with its ROLLBACK, leaves no open transaction in the pool', async () => {
  const { manager } = fixture.dataSource;
  await holding('post', () => expect(manager.insert(Post, { authorId })).rejects.toThrow('Query read timeout'));
  await expectWritable();
  await expectRight();
});

test('nor does a reconcile', async () => {
  await holding('author', () => expect(fixture.counters.flush()).rejects.toThrow('Query read timeout'));
  await expectWritable();
  await expectRight();
});

test('nor does a reconcile whose BEGIN is answered too late', async () => {
  const { proxy, url } = await startDatabaseProxy(fixture.databaseUrl);
  const limits = { synchronize: false, poolSize: 1, extra: { query_timeout: 1_000 } };
  const behind = newDataSource(url, [Author, Post], limits);
  const counters = await Counters.attach(behind, { redis: redisUrl(), ...TEST_OPTIONS });
  try {
    await behind.initialize();
    const { release } = proxy.withhold((request) => request.includes('BEGIN ISOLATION LEVEL READ COMMITTED'));
    await expect(counters.flush()).rejects.toThrow('Query read timeout');
    release();
    await behind.query(`INSERT INTO author (name, version) VALUES ('b', 1)`);
    const { rows } = await other.query(`SELECT name FROM author ORDER BY id`);
    expect(rows).toEqual([{ name: 'a' }, { name: 'b' }]);
  } finally {
    await counters.close();
    await behind.destroy();
    await proxy.close();
  }
  await expectRight();
});
