import { Column, Entity, type EntityManager, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { Author, Comment, copyTables, ENTITIES, execute, Post, Tagging } from './schemas';

/** No foreign key keeps orphans away: a new row counts what is there already. */
@Entity()
class Shelf {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
}

@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
class Book {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Shelf, { createForeignKeyConstraints: false }) shelf!: Relation<Shelf>;
}

const TRUTH = (schema: string): string => `SELECT
  (SELECT json_agg(to_jsonb(a) ORDER BY id) FROM ${schema}.author a) AS authors,
  (SELECT json_agg(to_jsonb(p) ORDER BY id) FROM ${schema}.post p) AS posts,
  (SELECT json_agg(to_jsonb(c) ORDER BY id) FROM ${schema}.comment c) AS comments,
  (SELECT json_agg(to_jsonb(t) ORDER BY tag) FROM ${schema}.tagging t) AS taggings`;

/** Writes of every kind, one of which each, in the schema that is in the search path. */
const WRITES: readonly (readonly [string, (manager: EntityManager) => Promise<unknown>])[] = [
  ['an insert', (manager) => manager.insert(Post, { authorId: 1 })],
  ['a save', (manager) => manager.save(Post, { authorId: 1 })],
  ['an update of the reference', (manager) => manager.update(Post, { id: 1 }, { authorId: null })],
  ['a delete', (manager) => manager.delete(Post, { slot: 2 })],
  ['a delete with cascades', (manager) => manager.delete(Author, { id: 1 })],
  ['a soft delete', (manager) => manager.softDelete(Post, { id: 1 })],
  ['a restore', (manager) => manager.restore(Post, { slot: 3 })],
  ['an upsert of a row that is there', (manager) => manager.upsert(Post, { slot: 1, authorId: null }, ['slot'])],
  ['an upsert of a new row', (manager) => manager.upsert(Post, { slot: 9, authorId: 1 }, ['slot'])],
  ['a junction row', (manager) => manager.insert(Tagging, { postId: 1, tag: 'new' })],
  ['a junction row that goes', (manager) => manager.delete(Tagging, { postId: 1 })],
  ['a target with a chosen key', (manager) => manager.insert(Shelf, { id: 77 })],
  ['a source at the end of a path', (manager) => manager.insert(Comment, { postId: 1 })],
  ['a row between', (manager) => manager.update(Post, { id: 2 }, { authorId: null })],
];

describeVersions('the search path', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let f: Fixture;

    beforeAll(async () => {
      f = await setup({ entities: [...ENTITIES, Shelf, Book], server: server(), counters: { mode } });
      await f.dataSource.manager.save(Author, { id: 1 });
      await f.dataSource.manager.insert(Post, [
        { slot: 1, authorId: 1 },
        { slot: 2, authorId: 1 },
      ]);
      await f.dataSource.manager.insert(Comment, { postId: 1 });
      // Both schemas take ids from one sequence.
      await execute(f.databaseUrl, `SELECT setval('post_id_seq', 10)`);
      await copyTables(f.databaseUrl, 'a');
      await execute(f.databaseUrl, 'CREATE TABLE a.shelf (LIKE public.shelf INCLUDING ALL)');
    });
    afterAll(async () => {
      await f.close();
      expect(f.errors).toEqual([]);
    });

    const refused: unknown = expect.objectContaining({
      code: 'WRITE_FAILED',
      message: expect.stringMatching(/went to a\.\w+, but .* count public\.\w+.*`schema`/) as unknown,
    });

    const state = async (): Promise<unknown> => [
      await execute(f.databaseUrl, TRUTH('a')),
      await execute(f.databaseUrl, TRUTH('public')),
    ];

    /** Nothing is counted of what was refused, and all of it is right. */
    async function expectRight(): Promise<void> {
      await f.counters.flush();
      expect(await f.counters.verify()).toMatchObject({ fixedCount: 0 });
    }

    test.each(WRITES)(
      '%s: refused at once in a transaction with another one, and so is its COMMIT',
      async (_, write) => {
        await f.counters.flush();
        const before = await state();
        const runner = f.dataSource.createQueryRunner();
        try {
          await runner.startTransaction();
          await runner.query('SET LOCAL search_path = a');
          await expect(write(runner.manager)).rejects.toEqual(refused);
          await expect(runner.commitTransaction()).rejects.toMatchObject({ code: 'WRITE_FAILED' });
          await runner.rollbackTransaction();
        } finally {
          await runner.release();
        }
        await expectRight();
        expect(await state()).toEqual(before);
      },
    );

    test.each(WRITES)(
      '%s: refused outside a transaction, on a connection that was left with another one',
      async (_, write) => {
        await f.counters.flush();
        const before = await state();
        const runner = f.dataSource.createQueryRunner();
        try {
          await runner.query('SET search_path = a');
          await expect(write(runner.manager)).rejects.toEqual(refused);
        } finally {
          await runner.query('RESET search_path');
          await runner.release();
        }
        await expectRight();
        expect(await state()).toEqual(before);
      },
    );

    test('a refused write that is rolled back to a savepoint: the rest is committed', async () => {
      await f.counters.flush();
      const [author] = await f.dataSource.manager.find(Author);
      await f.dataSource.transaction(async (manager) => {
        await manager.insert(Post, { authorId: 1 });
        await manager.query('SAVEPOINT mine');
        await manager.query('SET LOCAL search_path = a');
        await expect(manager.insert(Post, { authorId: 1 })).rejects.toEqual(refused);
        await manager.query('ROLLBACK TO SAVEPOINT mine');
        await manager.insert(Post, { authorId: 1 });
      });
      await f.counters.flush();
      const [after] = await f.dataSource.manager.find(Author);
      expect(after?.postsCount).toBe((author?.postsCount ?? 0) + 2);
      await expectRight();
    });

    test('a path that a function sets, and one that a transaction changes in between', async () => {
      const work = f.dataSource.transaction(async (manager) => {
        await manager.insert(Post, { authorId: 1 });
        await manager.query(`SELECT set_config('search_path', 'a', true)`);
        await manager.update(Post, { id: 1 }, { authorId: null });
      });
      await expect(work).rejects.toEqual(refused);
      await expectRight();
    });

    test('a temporary table that hides the counted one', async () => {
      const work = f.dataSource.transaction(async (manager) => {
        await manager.query('CREATE TEMP TABLE post (LIKE public.post INCLUDING ALL) ON COMMIT DROP');
        await manager.insert(Post, { authorId: 1 });
      });
      await expect(work).rejects.toMatchObject({ code: 'WRITE_FAILED' });
      await expectRight();
    });

    test('counters.track: rows of another schema are refused', async () => {
      const work = f.dataSource.transaction(async (manager) => {
        await manager.query('SET LOCAL search_path = a');
        await f.counters.track(manager, Post, { id: 1 }, (inner) => inner.query('DELETE FROM post WHERE id = 1'));
      });
      await expect(work).rejects.toEqual(refused);
      await expectRight();
    });

    test('recounts, reads and drains on connections that were left with another one mean the same tables', async () => {
      const runners = Array.from({ length: 20 }, () => f.dataSource.createQueryRunner());
      await f.dataSource.manager.insert(Post, { authorId: 1 });
      for (const runner of runners) await runner.query('SET search_path = a');
      await Promise.all(runners.map((runner) => runner.release()));
      await f.counters.flush();
      const [truth] = await execute(
        f.databaseUrl,
        'SELECT count(*)::int AS n FROM public.post WHERE "authorId" = 1 AND "deletedAt" IS NULL',
      );
      await execute(f.databaseUrl, 'UPDATE public.author SET "postsCount" = 55');
      expect(await f.counters.recalculate({ target: Author })).toMatchObject({ checked: 1, fixedCount: 1 });
      expect(await f.counters.recalculate({ target: Author, where: { id: 1 } })).toMatchObject({
        checked: 1,
        fixedCount: 0,
      });
      expect(await f.counters.read(Author, 1, 'postsCount')).toBe(truth?.['n']);
      const [right] = await execute(f.databaseUrl, 'SELECT "postsCount" AS n FROM public.author WHERE id = 1');
      const [other] = await execute(f.databaseUrl, 'SELECT "postsCount" AS n FROM a.author WHERE id = 1');
      expect([right, other]).toEqual([truth, { n: 0 }]);
      const reset = Array.from({ length: 20 }, () => f.dataSource.createQueryRunner());
      for (const runner of reset) await runner.query('RESET search_path');
      await Promise.all(reset.map((runner) => runner.release()));
    });
  });
});
