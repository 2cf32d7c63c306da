import { type EntityManager, type MigrationInterface, type QueryRunner } from 'typeorm';
import { counterCacheEntities, type Mode } from 'typeorm-counter-cache';

import { type Fixture, newDataSource, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';
import {
  Author,
  byClient,
  type Counts,
  first,
  Post,
  post,
  second,
  Shelf,
  TRIGGER,
  UNSEEN,
  WORKS,
} from './changed-tables';

class AddsColumn1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE post ADD COLUMN extra int');
    await runner.manager.insert(Post, post());
  }

  async down(): Promise<void> {}
}

describeVersions('a transaction that changes tables, and writes', (server) => {
  let fixture: Fixture | undefined;
  const open = async (mode: Mode, worker: boolean, migrations: readonly NewableFunction[] = []): Promise<Fixture> => {
    const prepare = async (url: string): Promise<void> => {
      const dataSource = await newDataSource(url, [Author, Shelf, Post, ...counterCacheEntities]).initialize();
      await dataSource.manager.insert(Author, [{}, {}]);
      await dataSource.manager.insert(Shelf, {});
      await dataSource.manager.insert(Post, [post(), post(second)]);
      await dataSource.destroy();
    };
    const dataSource = {
      synchronize: false,
      migrations: [...migrations] as never,
      migrationsRun: migrations.length > 0,
    };
    const entities = [Author, Shelf, Post];
    fixture = await setup({ entities, dataSource, prepare, server: server(), worker, counters: { mode } });
    await fixture.counters.recalculate();
    return fixture;
  };
  const counts = async ({ dataSource: { manager } }: Fixture): Promise<Counts> => {
    const authors = await manager.find(Author, { order: { id: 'ASC' } });
    const of = (id: number) => authors.find((author) => author.id === id)?.postsCount;
    return [of(1), of(2) ?? Number.NaN, (await manager.findOneByOrFail(Shelf, first)).postsCount];
  };
  afterEach(() => fixture?.close());

  describe.each<Mode>(['buffered', 'outbox'])('%s', (mode) => {
    test.each(WORKS)('%s', async (_, work, expected) => {
      const opened = await open(mode, false);
      await opened.dataSource.transaction(({ queryRunner }) => work(queryRunner as QueryRunner));
      expect(await opened.counters.read(Shelf, 1, 'postsCount')).toBe(expected[2]);
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual(expected);
    });

    test.each(UNSEEN)('%s', async (_, work, expected) => {
      const opened = await open(mode, true);
      await opened.dataSource.transaction(({ queryRunner }) => work(queryRunner as QueryRunner));
      await until(async () => {
        const { dirty, batches, recalculations } = await opened.counters.status();
        return dirty + batches + recalculations === 0;
      });
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual(expected);
    });

    test('a migration, as the DataSource is initialized', async () => {
      const opened = await open(mode, false, [AddsColumn1700000000000]);
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual([2, 1, 3]);
    });
  });

  test('one that is rolled back leaves nothing', async () => {
    const opened = await open('buffered', false);
    const { manager } = opened.dataSource;
    const rolledBack = manager.transaction(async (inner) => {
      await inner.query(TRIGGER);
      await inner.update(Post, { id: 1 }, { title: 'other' });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await manager.update(Post, { id: 1 }, { title: 'other', author: second });
    await expectAgreed(opened);
    expect(await counts(opened)).toEqual([0, 2, 2]);
  });

  describe('and others change them, too', () => {
    let opened: Fixture;
    let manager: EntityManager;
    beforeEach(async () => {
      opened = await open('buffered', false);
      ({ manager } = opened.dataSource);
    });

    const expectHandedOver = async (): Promise<void> => {
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual([0, 2, 2]);
    };

    test('what they have committed holds in it', async () => {
      await manager.transaction(async (inner) => {
        await inner.query('CREATE TABLE scratch (a int)');
        await inner.insert(Shelf, {});
        await manager.query(TRIGGER);
        await inner.update(Post, { id: 1 }, { title: 'other' });
      });
      await expectHandedOver();
    });

    test.each([
      ['by the client', (runner: QueryRunner) => byClient(runner, 'COMMIT')],
      ['behind another command', (runner: QueryRunner) => runner.query('SELECT 1; COMMIT')],
      ['with another BEGIN behind it', (runner: QueryRunner) => runner.query('SELECT 1; COMMIT; BEGIN')],
    ])('its COMMIT is noticed: %s', async (_, commit) => {
      await manager.update(Post, { id: 1 }, { title: 'one' });
      const runner = opened.dataSource.createQueryRunner();
      await runner.query('BEGIN');
      await runner.query(TRIGGER);
      await commit(runner);
      await manager.update(Post, { id: 1 }, { title: 'other' });
      await expectHandedOver();
      await runner.release();
    });
  });

  test('a TRUNCATE in it is reported, when nothing was captured before', async () => {
    const opened = await open('buffered', false);
    await opened.dataSource.transaction(async (manager) => {
      await manager.query('CREATE TABLE scratch (a int)');
      await manager.insert(Post, post());
      await manager.query('TRUNCATE post');
    });
    expect(opened.errors).toMatchObject([{ code: 'UNSEEN_WRITE' }]);
  });

  test('its search path is its own all the time', async () => {
    const opened = await open('buffered', false);
    await opened.dataSource.transaction(async (manager) => {
      await manager.query('CREATE SCHEMA elsewhere');
      await manager.query('CREATE TABLE elsewhere.log (a int); CREATE TABLE public.log (a int)');
      await manager.query('SAVEPOINT before');
      await manager.query('SET LOCAL search_path = elsewhere, public');
      const insert = manager.insert(Post, post());
      await Promise.all(Array.from({ length: 8 }, () => manager.query('INSERT INTO log VALUES (1)')));
      await insert;
      const [rows] = await manager.query<unknown[]>('SELECT count(*)::int AS count FROM elsewhere.log');
      expect(rows).toEqual({ count: 8 });
      await manager.query('ROLLBACK TO SAVEPOINT before');
      const [path] = await manager.query<unknown[]>('SHOW search_path');
      expect(path).toEqual({ search_path: '"$user", public' });
    });
    await expectAgreed(opened);
  });

  test('what failed to be read is read again', async () => {
    const opened = await open('buffered', false);
    const runner = opened.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query('CREATE TABLE scratch (a int)');
    await runner.query('SAVEPOINT before');
    await expect(runner.query('SELECT 1 / 0')).rejects.toThrow('division');
    await expect(runner.manager.insert(Post, post())).rejects.toThrow('aborted');
    await byClient(runner, 'ROLLBACK TO SAVEPOINT before');
    await runner.manager.insert(Post, post());
    await runner.commitTransaction();
    await runner.release();
    await opened.counters.recalculate();
    expect(await counts(opened)).toEqual([2, 1, 3]);
  });

  test.each([
    [
      'a write whose builder makes a transaction',
      async (runner: QueryRunner) => {
        const builder = runner.manager.createQueryBuilder().insert().into(Post).values(post());
        await builder.useTransaction(true).execute();
        await runner.query('COMMIT').catch(() => undefined);
      },
    ],
    [
      'a subscriber that commits',
      async (runner: QueryRunner) => {
        const subscriber = { listenTo: () => Post, afterInsert: () => runner.query('COMMIT') };
        runner.dataSource.subscribers.push(subscriber);
        await runner.manager.insert(Post, post());
      },
    ],
  ])('waits for nothing that waits for it: %s', async (_, write) => {
    const opened = await open('buffered', false);
    const runner = opened.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.query('CREATE TABLE scratch (a int)');
    await write(runner);
    await runner.release();
    await opened.counters.recalculate();
    expect(await counts(opened)).toEqual([2, 1, 3]);
  });

  test('a write beside a single one whose transaction is ours', async () => {
    const opened = await open('buffered', false);
    const runner = opened.dataSource.createQueryRunner();
    const removal = runner.manager.delete(Author, second);
    await opened.dataSource.query('CREATE TABLE scratch (a int)');
    await Promise.all([removal, runner.manager.insert(Post, post())]);
    await runner.release();
    await expectAgreed(opened);
    expect(await counts(opened)).toEqual([2, Number.NaN, 2]);
  });

  test('ROLLBACK waits for a write that waits for the reading', async () => {
    const opened = await open('buffered', false);
    const runner = opened.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query('CREATE TABLE scratch (a int)');
    const insert = runner.manager.insert(Post, post());
    await runner.rollbackTransaction();
    await insert;
    await runner.release();
    expect(await opened.dataSource.manager.count(Post)).toBe(2);
    await expectAgreed(opened);
  });

  test('others write meanwhile, and wait for no lock that is not of their own table', async () => {
    const opened = await open('buffered', false);
    const { manager } = opened.dataSource;
    await manager.transaction(async (inner) => {
      await inner.query('LOCK TABLE shelf IN ACCESS EXCLUSIVE MODE');
      await manager.query('CREATE TABLE other (a int)');
      await manager.query('ALTER TABLE author ADD COLUMN extra int');
      await manager.delete(Author, second);
    });
    await expectAgreed(opened);
    expect(await counts(opened)).toEqual([1, Number.NaN, 1]);
  });
});
