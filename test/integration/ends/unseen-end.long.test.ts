import type { Client } from 'pg';
import type { QueryRunner } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, Post, TRUTH } from '../blog';
import { onInsert } from '../outbox/outbox';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

describeVersions('commands sent through the client of a query runner', (server) => {
  describe.each(MODES)('%s', (mode) => {
    let fixture: Fixture;
    let runner: QueryRunner;
    let client: Client;
    let authorId: number;

    beforeAll(async () => {
      fixture = await setup({ entities: [Author, Post], counters: { mode }, server: server(), worker: true });
    });
    afterAll(async () => {
      expect(fixture.errors.splice(0)).toEqual([]);
      await fixture.close();
    });
    beforeEach(async () => {
      const { dataSource } = fixture;
      await dataSource.query('DELETE FROM author');
      ({ id: authorId } = await dataSource.manager.save(Author, { name: 'a' }));
      runner = dataSource.createQueryRunner();
      client = (await runner.connect()) as Client;
    });
    afterEach(async () => {
      if (!runner.isReleased) await runner.release();
    });

    const insert = () => runner.manager.insert(Post, { authorId });

    /** Columns are what SQL counts, and stay so. */
    async function expectRight(posts: number): Promise<void> {
      const { counters, dataSource } = fixture;
      await counters.settled();
      await until(async () => {
        const { dirty, intents, batches, requested } = (await counters.status()) as unknown as Record<string, number>;
        return (dirty ?? 0) + (intents ?? 0) + (batches ?? 0) + (requested ?? 0) === 0;
      });
      await until(async () => {
        const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
        return row?.['posts'] === posts && row['postsCount'] === posts;
      });
    }

    test('COMMIT, noticed at release', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await runner.release();
      await expectRight(1);
    });

    test('COMMIT, noticed at the next statement', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await runner.query('SELECT 1');
      await expectRight(1);
    });

    test('COMMIT, and then a counted statement of its own', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await insert();
      await expectRight(2);
    });

    test('COMMIT and BEGIN, and then a transaction that is committed through TypeORM', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await client.query('BEGIN');
      await insert();
      await runner.query('COMMIT');
      await expectRight(2);
    });

    test('COMMIT and BEGIN, and nothing more that counts', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await client.query('BEGIN');
      await runner.query('COMMIT');
      await expectRight(1);
    });

    test('COMMIT and BEGIN, in one text', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT; BEGIN');
      await insert();
      await runner.query('ROLLBACK');
      await expectRight(1);
    });

    test('ROLLBACK: nothing is counted', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('ROLLBACK');
      await runner.release();
      await expectRight(0);
    });

    test('ROLLBACK and BEGIN, and then COMMIT through TypeORM', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('ROLLBACK');
      await client.query('BEGIN');
      await runner.query('COMMIT');
      await expectRight(0);
    });

    test('ROLLBACK AND CHAIN, and then COMMIT through TypeORM', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('ROLLBACK AND CHAIN');
      await runner.query('COMMIT');
      await expectRight(0);
    });

    test('ROLLBACK TO SAVEPOINT, and then COMMIT through TypeORM', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('SAVEPOINT within');
      await insert();
      await client.query('ROLLBACK TO SAVEPOINT within');
      await runner.commitTransaction();
      await expectRight(1);
    });

    test('a SAVEPOINT of a name that TypeORM goes back to', async () => {
      await runner.startTransaction();
      await runner.query('SAVEPOINT one');
      await insert();
      await client.query('SAVEPOINT one');
      await insert();
      await runner.query('ROLLBACK TO SAVEPOINT one');
      await runner.commitTransaction();
      await expectRight(1);
    });

    test('a whole transaction around a counted statement', async () => {
      await client.query('BEGIN');
      await insert();
      await client.query('COMMIT');
      await runner.release();
      await expectRight(1);
    });

    test('a COMMIT behind another command in one text of TypeORM', async () => {
      await runner.startTransaction();
      await insert();
      await runner.query('SELECT 1; COMMIT');
      await runner.release();
      await expectRight(1);
    });

    test('the same, with nothing after it: its connection stays where it is, and so does the next statement', async () => {
      await runner.startTransaction();
      await insert();
      await client.query('COMMIT');
      await runner.startTransaction('READ COMMITTED').catch(() => undefined);
      await insert();
      await runner.query('COMMIT');
      await expectRight(2);
    });
  });
});

test('a write that cannot be counted is reported when it is committed through the client', async () => {
  const fixture = await setup({ entities: [Author, Post], dataSource: { extra: { query_timeout: 1_000 } } });
  const { dataSource, counters, errors } = fixture;
  try {
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    await onInsert(fixture, 'BEFORE', 'post', 'PERFORM pg_sleep(2); RETURN NEW;');
    const runner = dataSource.createQueryRunner();
    const client = (await runner.connect()) as Client;
    await runner.startTransaction();
    // It is done all the same.
    await expect(runner.manager.insert(Post, { authorId: id })).rejects.toThrow('Query read timeout');
    await until(() =>
      client.query('COMMIT').then(
        () => true,
        () => false,
      ),
    );
    await runner.release();
    expect(errors.splice(0)).toEqual([expect.objectContaining({ code: 'UNSEEN_WRITE' })]);
    await counters.recalculate();
    const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
    expect(row).toMatchObject({ posts: 1, postsCount: 1 });
  } finally {
    await fixture.close();
  }
});
