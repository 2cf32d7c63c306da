import { Client, type Pool } from 'pg';

import { type WakeUp, InProcessScheduler, type Scheduler } from 'typeorm-counter-cache';

import { BullMqScheduler } from '../../../src/schedule/bullmq/bullmq-scheduler';
import { execute as executeOn } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { type Fixture, setup, type SetupOptions } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, ENTITIES, Post } from './schemas';

/** Looks at where connections lead, as the server sees them. */
const LOOKS = `SELECT query_start::text AS at FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%AS installation'`;

describeVersions('the installation becomes another one beneath a process with a worker', (server) => {
  let fixture: Fixture;
  let client: Client;
  const installations = new Set<string>();

  beforeEach(() => openFixture({ counters: { redisTimeout: 1_000 } }));
  afterEach(closeFixture);

  async function openFixture(options: Pick<SetupOptions, 'counters' | 'dataSource'>): Promise<void> {
    fixture = await setup({ entities: [...ENTITIES], server: server(), worker: true, ...options });
    await fixture.dataSource.manager.save(Author, { id: 1 });
    client = new Client({ connectionString: fixture.databaseUrl });
    await client.connect();
  }

  async function closeFixture(): Promise<void> {
    await client.end();
    await fixture.close();
    for (const id of installations) await deleteKeysOf(id);
    installations.clear();
  }

  async function change(): Promise<void> {
    const { rows } = await client.query<{ value: string }>(
      `SELECT value FROM counter_cache_state WHERE id = 'installation'`,
    );
    installations.add(rows[0]?.value ?? '');
    await client.query(`UPDATE counter_cache_state SET value = left(md5(value), 12) WHERE id = 'installation'`);
  }

  /** Until the process has looked so many times more where its connections lead. */
  async function looks(count: number, limit?: number): Promise<void> {
    const name = new URL(fixture.databaseUrl).pathname.slice(1);
    const seen = new Set<unknown>();
    await until(async () => {
      for (const { at } of await executeOn(server(), LOOKS, [name])) seen.add(at);
      return seen.size > count;
    }, limit);
  }

  /**
   * Has our table locked until the process has looked so many times more, and has found another installation. A sweep that is
   * between its look and its next line in our table waits for the lock as well, and does not look: then all is done again.
   */
  async function lockUntil(count: number, lock: () => Promise<void>, unlock: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await lock();
      try {
        await looks(count, 3_000);
        return;
      } catch (error) {
        if (attempt === 5) throw error;
        await unlock();
      }
    }
  }

  /** Another installation that cannot be opened, until the transaction of `client` ends: our table takes no line. */
  async function changeAndLock(): Promise<void> {
    const lock = async (): Promise<void> => {
      await change();
      await client.query('BEGIN');
      await client.query('LOCK TABLE counter_cache_state IN SHARE ROW EXCLUSIVE MODE');
    };
    await lockUntil(1, lock, async () => void (await client.query('ROLLBACK')));
  }

  async function expectCounted(count: number): Promise<void> {
    const { manager } = fixture.dataSource;
    await until(async () => (await manager.findOneByOrFail(Author, { id: 1 })).postsCount === count);
  }

  test('which is opened so slowly that the next look comes meanwhile', async () => {
    const { manager } = fixture.dataSource;
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(1);
    const writes = new Client({ connectionString: fixture.databaseUrl });
    await writes.connect();
    const lock = async (): Promise<void> => {
      await client.query('BEGIN');
      await client.query('LOCK TABLE counter_cache_state IN SHARE ROW EXCLUSIVE MODE');
      // Queued behind: a process that opens the new installation cannot write a line into our table.
      const blocking = writes.query('BEGIN; LOCK TABLE counter_cache_state IN SHARE ROW EXCLUSIVE MODE');
      await change();
      await client.query('COMMIT');
      await blocking;
    };
    const unlock = async (): Promise<void> => void (await writes.query('COMMIT'));
    await lockUntil(3, lock, unlock);
    await unlock();
    await writes.end();
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(2);
    expect(fixture.errors.map(String).filter((text) => text.includes('scheduler is closed'))).toEqual([]);
  });

  test('while transactions whose COMMITs wait for it hold every connection, and a worker waits for one', async () => {
    await closeFixture();
    await openFixture({ dataSource: { poolSize: 2 } });
    const { manager } = fixture.dataSource;
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(1);
    const { rows } = await client.query<{ value: string }>(
      `SELECT value FROM counter_cache_state WHERE id = 'installation'`,
    );
    const { hostname: host, port } = new URL(redisUrl());
    const wakeUps = new BullMqScheduler({
      connection: { host, port: Number(port) },
      queueName: `cc-${rows[0]?.value}`,
      onError: (error) => fixture.errors.push(error),
    });
    let begun = 0;
    let commit = (): void => undefined;
    const changed = new Promise<void>((resolve) => (commit = resolve));
    const writes = [1, 2].map(() =>
      fixture.dataSource.transaction(async (own) => {
        await own.insert(Post, { authorId: 1 });
        begun += 1;
        await changed;
      }),
    );
    await until(() => begun === 2);
    // Their handlers wait for a connection.
    const pool = (fixture.dataSource.driver as unknown as { readonly master: Pool }).master;
    for (let shard = 0; shard < 4; shard++) await wakeUps.schedule([{ kind: 'reconcile', shard, at: 0, delay: 0 }]);
    await until(() => pool.waitingCount > 0);
    await change();
    await looks(1);
    commit();
    await Promise.all(writes);
    await expectCounted(3);
    await wakeUps.close();
  });

  test('and cannot be opened, as our table is locked: the counters close all the same', async () => {
    await changeAndLock();
    await expect(fixture.counters.close()).resolves.toBeUndefined();
    await client.query('ROLLBACK');
  });

  test('and the scheduler does not start there at first', async () => {
    await closeFixture();
    let starts = 0;
    const scheduler = new InProcessScheduler({ onError: (error) => fixture.errors.push(error) });
    const start: Scheduler['start'] = (handler, options) =>
      ++starts === 2 ? Promise.reject(new Error('not now')) : scheduler.start(handler, options);
    const counters = {
      scheduler: {
        schedule: (wakeUps: readonly WakeUp[]) => scheduler.schedule(wakeUps),
        start,
        close: () => scheduler.close(),
      },
    };
    await openFixture({ counters });
    const { manager } = fixture.dataSource;
    await change();
    await until(() => fixture.errors.some((error) => String(error).includes('not now')));
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(1);
    await until(() => starts === 3);
    await scheduler.close();
  });

  test('and cannot be opened, while a worker is starting: the counters close all the same', async () => {
    await changeAndLock();
    const starting = fixture.counters.startWorker().catch((error: unknown) => error);
    await expect(fixture.counters.close()).resolves.toBeUndefined();
    await client.query('ROLLBACK');
    expect(await starting).toBeInstanceOf(Error);
  });

  test('and cannot be opened at first: it is a write that opens it', async () => {
    const { manager } = fixture.dataSource;
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(1);
    await client.query('BEGIN');
    await change();
    await client.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON counter_cache_state EXECUTE FUNCTION refuse();`);
    await client.query('COMMIT');
    await until(() => fixture.errors.some((error) => String(error).includes('not now')));
    await client.query('DROP TRIGGER refuse ON counter_cache_state');
    await manager.insert(Post, { authorId: 1 });
    await expectCounted(2);
  });
});
