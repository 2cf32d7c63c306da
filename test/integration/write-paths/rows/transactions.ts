import type { QueryRunner } from 'typeorm';

import { Post, Song } from '../entities/blog';
import { group, type World } from '../write-path';
import { blog } from './seeds';

/** Works on a query runner that is released afterwards. */
export async function onRunner({ dataSource }: World, work: (runner: QueryRunner) => Promise<unknown>): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await work(runner);
  } finally {
    await runner.release();
  }
}

/** Something that fails as it should. */
async function failing(work: Promise<unknown>, message: RegExp): Promise<void> {
  await expect(work).rejects.toThrow(message);
}

export const TRANSACTIONS = group('Transactions', [
  {
    name: '`dataSource.transaction()`: 3 inserts, 1 update',
    captured: ['returned rows', 'old and new rows'],
    run: async ({ dataSource, manager }) => {
      const { author, post } = await blog(manager);
      return () =>
        dataSource.transaction(async (inner) => {
          for (let likes = 0; likes < 3; likes++) await inner.insert(Post, { authorId: author.id, likes });
          await inner.update(Post, { id: post.id }, { likes: 5 });
        });
    },
  },
  {
    name: '3 inserts at once (`Promise.all`)',
    captured: ['returned rows'],
    run: async ({ dataSource, manager }) => {
      const { author } = await blog(manager);
      return () =>
        dataSource.transaction((inner) =>
          Promise.all([1, 2, 3].map((likes) => inner.insert(Post, { authorId: author.id, likes }))),
        );
    },
  },
  {
    name: 'outside, 2 inserts at once on one query runner',
    captured: ['returned rows'],
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () =>
        onRunner(world, ({ manager }) =>
          Promise.all([1, 2].map((likes) => manager.insert(Post, { authorId: author.id, likes }))),
        );
    },
  },
  {
    name: 'writes that cancel out',
    captured: ['returned rows'],
    run: async ({ dataSource, manager }) => {
      const { author } = await blog(manager);
      return () =>
        dataSource.transaction(async (inner) => {
          const { identifiers } = await inner.insert(Post, { authorId: author.id });
          await inner.delete(Post, identifiers[0] ?? {});
        });
    },
  },
  {
    name: 'rolled back',
    captured: ['returned rows'],
    run: async ({ dataSource, manager }) => {
      const { author } = await blog(manager);
      const work = () =>
        dataSource.transaction(async (inner) => {
          await inner.insert(Post, { authorId: author.id });
          throw new Error('no');
        });
      return () => failing(work(), /^no$/);
    },
  },
  {
    name: 'a nested transaction (savepoint), rolled back',
    captured: ['returned rows'],
    run: async ({ dataSource, manager }) => {
      const { author, other } = await blog(manager);
      return () =>
        dataSource.transaction(async (outer) => {
          await outer.insert(Post, { authorId: author.id });
          const nested = outer.transaction(async (inner) => {
            await inner.insert(Post, { authorId: other.id });
            throw new Error('no');
          });
          await failing(nested, /^no$/);
        });
    },
  },
  {
    name: 'raw `BEGIN`, `SAVEPOINT`, `ROLLBACK TO`, `COMMIT`',
    captured: ['returned rows'],
    run: async (world) => {
      const { author, other } = await blog(world.manager);
      return () =>
        onRunner(world, async (runner) => {
          await runner.query('BEGIN');
          await runner.manager.insert(Post, { authorId: author.id });
          await runner.query('SAVEPOINT a');
          await runner.manager.insert(Post, { authorId: other.id });
          await runner.query('ROLLBACK TO a');
          await runner.query('COMMIT');
        });
    },
  },
  {
    name: 'raw `COMMIT AND CHAIN`: 2 transactions',
    captured: ['returned rows'],
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () =>
        onRunner(world, async (runner) => {
          await runner.query('BEGIN');
          await runner.manager.insert(Post, { authorId: author.id });
          await runner.query('COMMIT AND CHAIN');
          await runner.manager.insert(Post, { authorId: author.id });
          await runner.query('COMMIT');
        });
    },
  },
  {
    name: 'a `COMMIT` that fails (deferred foreign key)',
    captured: ['returned rows'],
    run: async ({ dataSource }) => {
      const work = () => dataSource.transaction((inner) => inner.insert(Song, { albumId: 0 }));
      return () => failing(work(), /violates foreign key constraint/);
    },
  },
  {
    name: 'a `COMMIT` that the server answers with `ROLLBACK`',
    captured: ['returned rows'],
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () =>
        onRunner(world, async (runner) => {
          await runner.startTransaction();
          await runner.manager.insert(Post, { authorId: author.id });
          await failing(runner.query('SELECT 1 / 0'), /division by zero/);
          await runner.commitTransaction();
        });
    },
  },
  {
    name: 'outside: a write that the database refuses',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{ slug: 'a' }]);
      return () => failing(manager.insert(Post, { authorId: author.id, slug: 'a' }), /duplicate key/);
    },
  },
  {
    name: 'SERIALIZABLE',
    captured: ['old and new rows'],
    run: async ({ dataSource, manager }) => {
      const { post } = await blog(manager);
      return () => dataSource.transaction('SERIALIZABLE', (inner) => inner.update(Post, { id: post.id }, { likes: 5 }));
    },
  },
  {
    name: '`PREPARE TRANSACTION`',
    captured: ['returned rows', 'recount'],
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () =>
        onRunner(world, async (runner) => {
          await runner.query('BEGIN');
          await runner.manager.insert(Post, { authorId: author.id });
          await runner.query(`PREPARE TRANSACTION 'ours'`);
          await runner.query(`COMMIT PREPARED 'ours'`);
          // What the library still holds of it.
          await runner.query('ROLLBACK');
        });
    },
  },
  {
    name: '`COMMIT` behind another command in one `query()`',
    captured: ['returned rows', 'recount'],
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () =>
        onRunner(world, async (runner) => {
          await runner.query('BEGIN');
          await runner.manager.insert(Post, { authorId: author.id });
          await runner.query('SELECT 1; COMMIT');
          await runner.query('ROLLBACK');
        });
    },
  },
]);
