import type { DataSource } from 'typeorm';
import { Counters, type Mode } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../support/database';
import { deleteKeysOf, redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { describeVersions } from '../support/versions';
import { Author, Post } from './blog';
import { wrongAuthors } from './outbox/outbox';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

describeVersions('close()', (server) => {
  describe.each(MODES)('%s', (mode) => {
    let database: TestDatabase;
    let dataSource: DataSource;
    let counters: Counters;
    let authorId: number;
    const errors: unknown[] = [];

    async function attach(): Promise<Counters> {
      const attached = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, mode });
      attached.on('error', (error) => errors.push(error));
      return attached;
    }

    beforeEach(async () => {
      database = await createDatabase(server());
      dataSource = newDataSource(database.url, [Author, Post], { poolSize: 10 });
      counters = await attach();
      await dataSource.initialize();
      ({ id: authorId } = await dataSource.manager.save(Author, { name: 'a' }));
    });
    afterEach(async () => {
      await counters.close();
      if (dataSource.isInitialized) await dataSource.destroy();
      await until(async () => (await database.connections()).length === 0);
      const installation = await database.installation();
      await database.drop();
      if (installation !== null) await deleteKeysOf(installation);
      expect(errors.splice(0)).toEqual([]);
    });

    /** What a process that comes next finds is all that it needs, without a recount. */
    async function expectRightAfterAttach(): Promise<void> {
      counters = await attach();
      const drifts: unknown[] = [];
      counters.on('drift', (drift) => drifts.push(drift));
      await counters.flush();
      expect(await wrongAuthors({ dataSource })).toEqual([]);
      expect(drifts).toEqual([]);
      expect(await counters.status()).toMatchObject({ intents: 0, dirty: 0 });
    }

    const WRITES: readonly ((round: number) => Promise<unknown>)[] = [
      () => dataSource.manager.insert(Post, { authorId, likes: 2 }),
      () => dataSource.manager.save(Post, { authorId, likes: 3 }),
      (round) => dataSource.manager.update(Post, { id: round }, { likes: round }),
      (round) => dataSource.manager.delete(Post, { id: round }),
      () =>
        dataSource.transaction(async (manager) => {
          await manager.insert(Post, { authorId });
          await manager.insert(Post, { authorId, published: true });
        }),
    ];

    test('while eight writers write, which notice nothing of it', async () => {
      const writing = new AbortController();
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let round = 1; !writing.signal.aborted; round++) await WRITES[(writer + round) % WRITES.length]?.(round);
      });
      await until(async () => (await dataSource.manager.count(Post)) > 50);
      await counters.close();
      const count = await dataSource.manager.count(Post);
      await until(async () => (await dataSource.manager.count(Post)) > count + 20);
      writing.abort();
      await Promise.all(writers);
      await expectRightAfterAttach();
    });

    test('a write after it waits in the outbox', async () => {
      await counters.close();
      for (const [round, write] of WRITES.entries()) await write(round);
      const [row] = await dataSource.query<{ n: number }[]>('SELECT count(*)::int AS n FROM counter_cache_outbox');
      expect(row?.n).toBeGreaterThan(0);
      await expectRightAfterAttach();
    });

    test('a transaction that is open meanwhile, and goes on while others are attached', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Post, { authorId });
      await counters.close();
      await runner.manager.insert(Post, { authorId });
      counters = await attach();
      await runner.manager.insert(Post, { authorId, likes: 4 });
      await runner.commitTransaction();
      await runner.release();
      await counters.settled();
      await counters.flush();
      expect(await dataSource.manager.count(Post)).toBe(3);
      expect(await wrongAuthors({ dataSource })).toEqual([]);
    });

    test('one that is rolled back counts nothing', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Post, { authorId });
      await counters.close();
      await runner.manager.insert(Post, { authorId });
      await runner.rollbackTransaction();
      await runner.release();
      await expectRightAfterAttach();
    });

    test('once the DataSource is destroyed, nothing is left on it', async () => {
      await counters.close();
      await dataSource.destroy();
      await dataSource.setOptions({ synchronize: false }).initialize();
      await dataSource.manager.insert(Post, { authorId });
      const [row] = await dataSource.query<{ n: number }[]>('SELECT count(*)::int AS n FROM counter_cache_outbox');
      expect(row?.n).toBe(0);
    });
  });
});

test('a counted write is refused, saying what to do, where its delta could be kept nowhere', async () => {
  const database = await createDatabase();
  const made = newDataSource(database.url, [Author, Post]);
  await made.initialize();
  await made.manager.save(Author, { name: 'a' });
  await made.destroy();
  const dataSource = newDataSource(database.url, [Author, Post], { synchronize: false });
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
  try {
    // The library's own tables are missing.
    await dataSource.initialize();
    await counters.close();
    const refused = { code: 'CLOSED', message: expect.stringContaining('Attach counters again') as unknown };
    await expect(dataSource.manager.insert(Post, { authorId: 1 })).rejects.toMatchObject(refused);
    await expect(dataSource.manager.save(Post, { authorId: 1 })).rejects.toMatchObject(refused);
    expect(await dataSource.manager.count(Post)).toBe(0);
  } finally {
    await counters.close();
    await dataSource.destroy();
    await database.drop();
  }
});
