import type { QueryRunner } from 'typeorm';
import type { Counters } from 'typeorm-counter-cache';

import { startRedis } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { describeVersions } from '../support/versions';
import { Author, Post } from './blog';

describeVersions('read()', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let fixture: Fixture;
    let authorId: number;
    const read = (options = {}) => fixture.counters.read(Author, authorId, 'postsCount', options);

    beforeAll(async () => {
      fixture = await setup({
        entities: [Author, Post],
        dataSource: { poolSize: 2 },
        counters: { mode, wait: 600_000 },
        server: server(),
      });
    });
    afterAll(() => fixture.close());
    beforeEach(async () => {
      ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
    });

    test('right after each of 150 writes says what was written', async () => {
      for (let count = 1; count <= 150; count++) {
        await fixture.dataSource.manager.save(Post, { authorId });
        expect(await read()).toBe(count);
      }
    });

    test('does not wait for a transaction that is open', async () => {
      const runner = fixture.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Post, { authorId });
      expect(await read()).toBe(0);
      await runner.commitTransaction();
      await runner.release();
      expect(await read()).toBe(1);
    });

    test('does not wait for what others write meanwhile', async () => {
      const writing = new AbortController();
      const writer = (async () => {
        while (!writing.signal.aborted) await fixture.dataSource.manager.insert(Post, { authorId });
      })();
      for (let i = 0; i < 20; i++) expect(await read()).toBeGreaterThanOrEqual(0);
      writing.abort();
      await writer;
      expect(await read()).toBe(await fixture.dataSource.manager.countBy(Post, { authorId }));
    });

    describe('inside transactions that hold every connection of the pool', () => {
      async function full(work: (runners: readonly QueryRunner[]) => Promise<void>): Promise<void> {
        const runners = [0, 1].map(() => fixture.dataSource.createQueryRunner());
        for (const runner of runners) await runner.startTransaction();
        try {
          for (const runner of runners) await runner.manager.insert(Post, { authorId });
          await work(runners);
          for (const runner of runners) await runner.commitTransaction();
        } finally {
          for (const runner of runners) await runner.release();
        }
      }

      test('answers, and so do all others', async () => {
        const { counters } = fixture;
        await full(async () => {
          expect(await read()).toBe(0);
          const calls: ((one: Counters) => Promise<unknown>)[] = [
            (one) => one.status(),
            (one) => one.flush({ target: Author, ids: [authorId] }),
            (one) => one.verify({ target: Author, ids: [authorId] }),
            (one) => one.recalculate({ target: Author, ids: [authorId] }),
            (one) => one.retryFailed(),
            async (one) => {
              for await (const _ of one.log()) return;
            },
          ];
          for (const call of calls) await call(counters);
          await Promise.all(calls.map((call) => call(counters)));
        });
        expect(await read()).toBe(2);
      });

      test('uses one connection beside the pool, and keeps it', async () => {
        const pids = async (): Promise<number[]> => {
          const rows = await fixture.dataSource.query<{ pid: number }[]>(
            'SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid',
          );
          return rows.map(({ pid }) => pid);
        };
        const before = await pids();
        await full(async () => {
          await Promise.all(Array.from({ length: 20 }, () => read()));
        });
        await full(async () => void (await read()));
        const after = await pids();
        expect(after.length).toBeLessThanOrEqual(3);
        expect(before.filter((pid) => after.includes(pid)).length).toBeGreaterThan(0);
      });

      test('opens it again when it broke', async () => {
        await full(async (runners) => {
          await read();
          const own: number[] = [];
          for (const { manager } of runners) {
            const [row] = await manager.query<{ pid: number }[]>('SELECT pg_backend_pid() AS pid');
            own.push(row?.pid ?? 0);
          }
          await runners[0]?.query(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND NOT pid = ANY($1)',
            [own],
          );
          await until(() =>
            read()
              .catch(() => null)
              .then((value) => value === 0),
          );
        });
      });
    });

    describe('with a manager', () => {
      test('sees rows that the transaction has made, and what is committed', async () => {
        await fixture.dataSource.transaction(async (manager) => {
          const { id } = await manager.save(Author, { name: 'b' });
          expect(await fixture.counters.read(Author, id, 'postsCount', { manager })).toBe(0);
          expect(await fixture.counters.read(Author, id, 'postsCount')).toBeNull();
          expect(await fixture.counters.read(Author, [authorId, id], 'postsCount', { manager })).toEqual(
            new Map([
              [authorId, 0],
              [id, 0],
            ]),
          );
        });
      });

      test.each(['REPEATABLE READ', 'SERIALIZABLE'] as const)('is right under %s, too', async (level) => {
        const { dataSource, counters } = fixture;
        await dataSource.manager.insert(Post, { authorId });
        await dataSource.transaction(level, async (manager) => {
          await manager.count(Post);
          await counters.flush();
          expect(await read({ manager })).toBe(1);
        });
      });

      test('of the DataSource, it is as without', async () => {
        expect(await read({ manager: fixture.dataSource.manager })).toBe(0);
      });

      test('refuses what is none', async () => {
        await expect(read({ manager: {} })).rejects.toMatchObject({ code: 'CONFIGURATION' });
        await expect(read({ manger: 1 })).rejects.toThrow("did you mean 'manager'");
      });
    });
  });
});

test('it does not wait for long for a Redis that is away', async () => {
  const redis = await startRedis();
  const fixture = await setup({ entities: [Author, Post], counters: { redis: redis.url, redisTimeout: 200 } });
  try {
    const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.settled();
    redis.pause();
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    const start = performance.now();
    await expect(fixture.counters.read(Author, id, 'postsCount')).rejects.toMatchObject({ code: 'BUFFER_UNAVAILABLE' });
    // The read itself takes its time; what it waits for before is bounded by `redisTimeout`.
    expect(performance.now() - start).toBeLessThan(15_000);
    redis.resume();
  } finally {
    await fixture.close({ leakCheck: false });
    await redis.stop();
  }
});
