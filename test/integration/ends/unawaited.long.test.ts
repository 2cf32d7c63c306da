import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { untilIdle } from '../idle';
import { type Internals, openInternals } from '../internals';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';
import { randomFrom } from '../agreement';

const CASES = (['18', '17.0'] as const).flatMap((v) => (['buffered', 'outbox'] as const).map((d) => [v, d] as const));
const SEED = Number(process.env['SEED'] ?? 1);

describe.each(CASES)('PostgreSQL %s, %s', (version, mode) => {
  let fixture: Fixture;
  let internals: Internals;
  beforeAll(async () => {
    fixture = await setup({
      entities: [Author, Post],
      counters: { mode, intentTimeout: 1000, redisTimeout: 1000 },
    });
    internals = await openInternals(fixture.dataSource);
    (fixture.dataSource.driver as { version?: string }).version = version;
  });
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  test.each([SEED])('un-awaited writes around the ends of transactions, seed %i', async (seed) => {
    const { dataSource, counters } = fixture;
    const authors = (await dataSource.manager.save([1, 2, 3].map(() => dataSource.manager.create(Author)))).map(
      ({ id }) => id,
    );
    const client = async (n: number): Promise<void> => {
      const random = randomFrom(seed * 100 + n);
      const below = (k: number) => Math.floor(random() * k);
      const author = () => authors[below(3)] as number;
      const runner = dataSource.createQueryRunner();
      await runner.connect();
      const m: EntityManager = runner.manager;
      const own = 1000 * (seed * 10 + n);
      const write = (): Promise<unknown> => {
        const id = own + below(8);
        switch (below(6)) {
          case 0:
            return m.insert(Post, { authorId: author(), likes: below(5) });
          case 1:
            return m.upsert(Post, { id, authorId: author(), published: below(2) === 1 }, ['id']);
          case 2:
            return m.update(Post, { id }, { authorId: author(), likes: below(9) });
          case 3:
            return m.delete(Post, { id });
          case 4:
            return m.softDelete(Post, { id });
          default:
            return below(3) === 0 ? m.insert(Post, { authorId: -1 }) : m.restore(Post, { id });
        }
      };
      for (let round = 0; round < 25; round++) {
        const pending: Promise<unknown>[] = [];
        const fire = (p: Promise<unknown>) => pending.push(p.catch(() => undefined));
        const maybe = async () => {
          if (below(3) === 0) await Promise.all(pending);
          else if (below(2)) await nextTurn();
        };
        await runner.query('BEGIN');
        for (let i = below(4); i > 0; i--) {
          fire(write());
          await maybe();
        }
        if (below(3) === 0) {
          fire(runner.query('SAVEPOINT s'));
          await maybe();
          fire(write());
          fire(write());
          await maybe();
          fire(runner.query(below(2) ? 'ROLLBACK TO s' : 'RELEASE s'));
        }
        for (let i = below(3); i > 0; i--) {
          fire(write());
          await maybe();
        }
        const ends = ['COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'];
        const end = runner.query(ends[below(4)] as string).catch(() => undefined);
        for (let i = below(4); i > 0; i--) {
          fire(write());
          if (below(2)) await nextTurn();
        }
        await end;
        for (let i = below(2); i > 0; i--) fire(write());
        await Promise.all(pending);
      }
      await runner.release();
    };
    await Promise.all([0, 1, 2, 3].map(client));
    await counters.settled();
    await counters.flush();
    const worker = await counters.startWorker();
    await until(async () => {
      const s = await counters.status();
      return s.intents === 0;
    }, 20_000);
    await untilIdle(fixture, internals);
    await worker.close();
    await counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });
});
