import { setImmediate as nextTurn } from 'node:timers/promises';
import type { QueryRunner } from 'typeorm';
import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';
import { untilIdle } from '../idle';
import { openInternals } from '../internals';

/** A write sent behind ROLLBACK is committed by itself; its answer comes when the next transaction is followed already. */
describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  let fixture: Fixture;
  let runner: QueryRunner;
  let id: number;
  beforeAll(async () => {
    fixture = await setup({ entities: [Author, Post] });
    (fixture.dataSource.driver as { version?: string }).version = version;
  });
  beforeEach(async () => {
    runner = fixture.dataSource.createQueryRunner();
    ({ id } = await fixture.dataSource.manager.save(new Author()));
  });
  afterEach(async () => {
    if (!runner.isReleased) await runner.release();
  });
  afterAll(() => fixture.close());
  const expectExact = async () => {
    const internals = await openInternals(fixture.dataSource);
    const worker = await fixture.counters.startWorker();
    await fixture.counters.settled();
    await untilIdle(fixture, internals);
    await worker.close();
    await internals.close();
    expect(await wrongAuthors(fixture)).toEqual([]);
  };

  // How many microtasks the write needs to reach the server differs: it is begun some of them before or after ROLLBACK.
  const ticks = async (n: number) => {
    for (let i = 0; i < n; i++) await Promise.resolve();
  };
  test.each([0, 2, 4, 6, 8, 10, 12, 16, 20])(
    'raw ROLLBACK %i ticks after an un-awaited write; then a transaction that is rolled back',
    async (n) => {
      await runner.query('BEGIN');
      const late = runner.manager.insert(Post, { authorId: id });
      await ticks(n);
      await runner.query('ROLLBACK');
      await runner.query('BEGIN');
      await late;
      await runner.query('ROLLBACK');
      await expectExact();
    },
  );
  test.each([0, 4, 8, 12])(
    'raw ROLLBACK %i ticks after an un-awaited write; then a single write that fails',
    async (n) => {
      await runner.query('BEGIN');
      const late = runner.manager.insert(Post, { authorId: id });
      await ticks(n);
      await runner.query('ROLLBACK');
      await Promise.allSettled([late, runner.manager.insert(Post, { authorId: -1 })]);
      await expectExact();
    },
  );
  test('TypeORM: then a transaction that is rolled back', async () => {
    await runner.startTransaction();
    const end = runner.rollbackTransaction();
    const late = runner.manager.insert(Post, { authorId: id });
    await end;
    await runner.startTransaction();
    await late;
    await runner.rollbackTransaction();
    await expectExact();
  });
  test('held back by an upsert; then a single write that fails', async () => {
    await runner.query('BEGIN');
    const up = runner.manager.upsert(Post, { id: 50, authorId: id }, ['id']);
    await nextTurn();
    const end = runner.query('ROLLBACK');
    const late = runner.manager.insert(Post, { authorId: id });
    const bad = runner.manager.insert(Post, { authorId: -1 });
    await Promise.allSettled([up, end, late, bad]);
    await expectExact();
  });
});
