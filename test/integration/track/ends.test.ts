import type { EntityManager, QueryRunner } from 'typeorm';

import { withTimeout } from '../../../src/time-limit';
import { Post, setupWriters, Writer, type Writers } from './writers';

let writers: Writers;
let one: Writer;

beforeAll(async () => {
  writers = await setupWriters();
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  one = await manager.save(manager.create(Writer));
});
afterEach(() => expect(writers.errors).toEqual([]));
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();

const insertPost = (): string => `INSERT INTO post ("writerId") VALUES (${one.id})`;
const postsOf = (writer: Writer): Promise<number> =>
  writers.dataSource.manager.countBy(Post, { writer: { id: writer.id } });
const track = (manager: EntityManager, work: (manager: EntityManager) => Promise<unknown>): Promise<unknown> =>
  writers.counters.track(manager, Post, { writer: { id: one.id } }, work);
const outcomeOf = async (work: Promise<unknown>): Promise<unknown> =>
  withTimeout(
    work.then(
      () => 'done',
      (error: Error) => error.message,
    ),
    10_000,
    'hangs',
  );

const REFUSED = /COMMIT was sent while the work of counters.track was under way/;
const ENDED = /the work of counters.track ended its transaction, or a savepoint around it/;

async function withRunner(work: (runner: QueryRunner) => Promise<void>): Promise<void> {
  const runner = writers.dataSource.createQueryRunner();
  try {
    await work(runner);
  } finally {
    await runner.release();
  }
}

describe('work of counters.track cannot commit', () => {
  test.each(['COMMIT', 'END', 'COMMIT AND CHAIN'])('by %s, and is undone when it lets the error out', (commit) =>
    withRunner(async (runner) => {
      await runner.startTransaction();
      await runner.manager.insert(Post, { writer: one });
      const work = track(runner.manager, async (inner) => {
        await inner.query(insertPost());
        await inner.query(commit);
      });
      expect(await outcomeOf(work)).toMatch(REFUSED);
      await runner.commitTransaction();
      expect(await postsOf(one)).toBe(1);
      await expectExact();
    }),
  );

  test('and goes on when it swallows the error', () =>
    withRunner(async (runner) => {
      await runner.startTransaction();
      const work = track(runner.manager, async (inner) => {
        await inner.query(insertPost());
        await inner.query('COMMIT').catch(() => undefined);
        await inner.query(insertPost());
      });
      expect(await outcomeOf(work)).toBe('done');
      await runner.commitTransaction();
      expect(await postsOf(one)).toBe(2);
      await expectExact();
    }));

  test('in a transaction whose caller does not await it: nothing is committed', async () => {
    let work: Promise<unknown> = Promise.resolve();
    const transaction = writers.dataSource.transaction(async (own) => {
      await own.insert(Post, { writer: one });
      work = outcomeOf(track(own, (inner) => inner.query(insertPost())));
    });
    expect(await outcomeOf(transaction)).toMatch(REFUSED);
    expect(await work).not.toMatch(/done|hangs/);
    expect(await postsOf(one)).toBe(0);
    await expectExact();
  });
});

describe('work of counters.track that ends what is around it', () => {
  test.each([['ROLLBACK', 'BEGIN'], ['ROLLBACK AND CHAIN']])(
    'by %s is refused, and so is the COMMIT after it',
    (...ends) =>
      withRunner(async (runner) => {
        await runner.query('BEGIN');
        await runner.manager.insert(Post, { writer: one });
        const work = track(runner.manager, async (inner) => {
          for (const end of ends) await inner.query(end);
          await inner.query(insertPost());
        });
        expect(await outcomeOf(work)).toMatch(ENDED);
        expect(await outcomeOf(runner.query('COMMIT'))).toMatch(ENDED);
        await runner.query('ROLLBACK');
        expect(await postsOf(one)).toBe(0);
        await expectExact();
      }),
  );

  test('by the ROLLBACK of its own transaction', async () => {
    const work = track(writers.dataSource.manager, async (inner) => {
      await inner.query(insertPost());
      await inner.query('ROLLBACK');
    });
    expect(await outcomeOf(work)).toMatch(ENDED);
    expect(await postsOf(one)).toBe(0);
    await expectExact();
  });

  test.each(['ROLLBACK TO SAVEPOINT mine', 'RELEASE SAVEPOINT mine'])('by %s of a savepoint before it', (end) =>
    withRunner(async (runner) => {
      await runner.startTransaction();
      await runner.query('SAVEPOINT mine');
      const work = track(runner.manager, async (inner) => {
        await inner.query(end);
        await inner.query(insertPost());
      });
      expect(await outcomeOf(work)).toMatch(ENDED);
      expect(await outcomeOf(runner.commitTransaction())).toMatch(ENDED);
      await runner.rollbackTransaction();
      expect(await postsOf(one)).toBe(0);
      await expectExact();
    }),
  );

  test('unseen, in one string with other statements', () =>
    withRunner(async (runner) => {
      await runner.startTransaction();
      const work = track(runner.manager, async (inner) => {
        await inner.query('SELECT 1; COMMIT; BEGIN');
        await inner.query(insertPost());
      });
      expect(await outcomeOf(work)).toMatch(ENDED);
      await runner.commitTransaction();
      expect(await postsOf(one)).toBe(0);
      await expectExact();
    }));
});
