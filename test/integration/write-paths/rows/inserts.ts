import { Post } from '../entities/blog';
import { group } from '../write-path';
import { blog } from './seeds';

export const INSERTS = group('`insert()`, `upsert()`', [
  {
    name: '1 row',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      return () => manager.insert(Post, { authorId: author.id, likes: 2 });
    },
  },
  {
    name: '3 rows, of 2 targets',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author, other } = await blog(manager);
      const rows = [author, author, other].map(({ id }, likes) => ({ authorId: id, likes }));
      return () => manager.insert(Post, rows);
    },
  },
  {
    name: 'no rows',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.insert(Post, []),
  },
  {
    name: '`orIgnore()`: 1 row new, 1 ignored',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author, other } = await blog(manager, [{ slug: 'a' }]);
      const rows = ['a', 'b'].map((slug) => ({ slug, authorId: slug === 'a' ? other.id : author.id }));
      return () => manager.createQueryBuilder().insert().into(Post).values(rows).orIgnore().execute();
    },
  },
  {
    name: '`orIgnore()`: all rows ignored',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { other } = await blog(manager, [{ slug: 'a' }]);
      const builder = manager.createQueryBuilder().insert().into(Post).values({ slug: 'a', authorId: other.id });
      return () => builder.orIgnore().execute();
    },
  },
  {
    name: '`orUpdate()`: 1 row new, 1 existing',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { other } = await blog(manager, [{ slug: 'a' }]);
      const rows = ['a', 'b'].map((slug) => ({ slug, authorId: other.id, likes: 6 }));
      const builder = manager.createQueryBuilder().insert().into(Post).values(rows);
      return () => builder.orUpdate(['authorId', 'likes'], ['slug']).execute();
    },
  },
  {
    name: '`upsert()`: new rows',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      const rows = ['a', 'b'].map((slug) => ({ slug, authorId: author.id }));
      return () => manager.upsert(Post, rows, ['slug']);
    },
  },
  {
    name: '`upsert()`: existing rows',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { other } = await blog(manager, [{ slug: 'a' }, { slug: 'b' }]);
      const rows = ['a', 'b'].map((slug) => ({ slug, authorId: other.id, likes: 4 }));
      return () => manager.upsert(Post, rows, ['slug']);
    },
  },
  {
    name: '`upsert()`: 1 row new, 1 existing',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { other } = await blog(manager, [{ slug: 'a' }]);
      const rows = ['a', 'b'].map((slug) => ({ slug, authorId: other.id, likes: 4 }));
      return () => manager.upsert(Post, rows, ['slug']);
    },
  },
  {
    name: '`orUpdate()`, by primary key: an existing row',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { other, post } = await blog(manager);
      const builder = manager.createQueryBuilder().insert().into(Post, ['id', 'authorId', 'likes']);
      builder.values({ id: post.id, authorId: other.id, likes: 4 });
      return () => builder.orUpdate(['authorId', 'likes'], ['id']).execute();
    },
  },
  {
    name: '`upsert()`, `skipUpdateIfNoValuesChanged`: an unchanged row',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{ slug: 'a' }]);
      const row = { slug: 'a', authorId: author.id, likes: 1 };
      return () => manager.upsert(Post, row, { conflictPaths: ['slug'], skipUpdateIfNoValuesChanged: true });
    },
  },
  {
    name: '`valuesFromSelect()`: 2 rows',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      await blog(manager, [{ likes: 2 }, { likes: 3 }]);
      const builder = manager.createQueryBuilder().insert().into(Post, ['likes', 'authorId']);
      const posts = manager.createQueryBuilder().select(['p.likes', 'p.authorId']).from(Post, 'p');
      return () => builder.valuesFromSelect(posts).execute();
    },
  },
]);
