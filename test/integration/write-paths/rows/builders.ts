import { Album, Author, Post, Song } from '../entities/blog';
import { group } from '../write-path';
import { blog } from './seeds';

export const BUILDERS = group('Query builders', [
  {
    name: 'insert, with an SQL function',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      const values = { authorId: author.id, likes: () => `length('four')` };
      return () => manager.createQueryBuilder().insert().into(Post).values(values).execute();
    },
  },
  {
    name: 'update, with an SQL function',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{}, { likes: 3 }]);
      const builder = manager.createQueryBuilder().update(Post);
      return () =>
        builder
          .set({ likes: () => 'likes * 2 + 1' })
          .where({ authorId: author.id })
          .execute();
    },
  },
  {
    name: 'update that moves rows by a subquery',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      await blog(manager, [{}, {}]);
      const builder = manager.createQueryBuilder().update(Post);
      return () => builder.set({ authorId: () => '(SELECT max(id) FROM "author")' }).execute();
    },
  },
  {
    name: 'update, `returning(*)`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      await blog(manager);
      return () => manager.createQueryBuilder().update(Post).set({ likes: 3 }).returning('*').execute();
    },
  },
  {
    name: 'update, `whereEntity()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.createQueryBuilder().update(Post).set({ likes: 3 }).whereEntity(post).execute();
    },
  },
  {
    name: 'update with a common table expression',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      await blog(manager, [{}, {}]);
      const builder = manager.createQueryBuilder().update(Post).set({ likes: 3 });
      builder.addCommonTableExpression('SELECT max(id) AS id FROM post', 'latest');
      return () => builder.where('id IN (SELECT id FROM latest)').execute();
    },
  },
  {
    name: 'update, `useTransaction(true)`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      await blog(manager);
      return () => manager.createQueryBuilder().update(Post).set({ likes: 3 }).useTransaction(true).execute();
    },
  },
  {
    name: 'update of what a generated column depends on',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const album = await manager.save(manager.create(Album));
      await manager.insert(Song, { albumId: album.id, seconds: 200 });
      return () =>
        manager
          .createQueryBuilder()
          .update(Song)
          .set({ seconds: () => 'seconds + 200' })
          .execute();
    },
  },
  {
    name: 'delete, with a subquery',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      await blog(manager, [{}, {}]);
      const builder = manager.createQueryBuilder().delete().from(Post);
      return () => builder.where('"authorId" IN (SELECT a.id FROM "author" a)').execute();
    },
  },
  {
    name: 'soft delete',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.createQueryBuilder().softDelete().from(Post).where({ id: post.id }).execute();
    },
  },
  {
    name: 'restore',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softRemove(post);
      return () => manager.createQueryBuilder().restore().from(Post).where({ id: post.id }).execute();
    },
  },
]);

export const RELATIONS = group('Relation query builder', [
  {
    name: 'many-to-one: `set()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post, other } = await blog(manager);
      return () => manager.createQueryBuilder().relation(Post, 'author').of(post).set(other);
    },
  },
  {
    name: 'many-to-one: `set(null)`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.createQueryBuilder().relation(Post, 'author').of(post).set(null);
    },
  },
  {
    name: 'one-to-many: `add()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { posts, other } = await blog(manager, [{}, {}]);
      return () => manager.createQueryBuilder().relation(Author, 'posts').of(other).add(posts);
    },
  },
  {
    name: 'one-to-many: `remove()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { posts, author } = await blog(manager, [{}, {}]);
      return () => manager.createQueryBuilder().relation(Author, 'posts').of(author).remove(posts);
    },
  },
]);
