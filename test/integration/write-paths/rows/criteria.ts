import { Author, Post } from '../entities/blog';
import { group } from '../write-path';
import { blog } from './seeds';

export const CRITERIA = group('By criteria', [
  {
    name: '`update()`: 2 rows, changed where they count',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{}, {}]);
      return () => manager.update(Post, { authorId: author.id }, { likes: 9 });
    },
  },
  {
    name: '`update()`: 2 rows, moved to another target',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author, other } = await blog(manager, [{}, {}]);
      return () => manager.update(Post, { authorId: author.id }, { authorId: other.id });
    },
  },
  {
    name: '`update()`: no row',
    captured: ['old and new rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.update(Post, { id: 0 }, { likes: 9 }),
  },
  {
    name: '`update()`: to the same value',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.update(Post, { id: post.id }, { likes: post.likes });
    },
  },
  {
    name: '`update()`: of columns that do not count',
    captured: [],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.update(Post, { id: post.id }, { title: 'new' });
    },
  },
  {
    name: '`delete()`: 2 rows',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{}, {}]);
      return () => manager.delete(Post, { authorId: author.id });
    },
  },
  {
    name: '`delete()`: no row',
    captured: ['returned rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.delete(Post, { id: 0 }),
  },
  {
    name: '`softDelete()`: 2 rows',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{}, {}]);
      return () => manager.softDelete(Post, { authorId: author.id });
    },
  },
  {
    name: '`softDelete()`: no row',
    captured: ['old and new rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.softDelete(Post, { id: 0 }),
  },
  {
    name: '`softDelete()`, repeated',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softDelete(Post, { id: post.id });
      return () => manager.softDelete(Post, { id: post.id });
    },
  },
  {
    name: '`restore()`: 2 rows',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager, [{}, {}]);
      await manager.softDelete(Post, { authorId: author.id });
      return () => manager.restore(Post, { authorId: author.id });
    },
  },
  {
    name: '`restore()`: a row that is not deleted',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.restore(Post, { id: post.id });
    },
  },
  {
    name: '`increment()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.increment(Post, { id: post.id }, 'likes', 5);
    },
  },
  {
    name: '`decrement()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.decrement(Post, { id: post.id }, 'likes', 5);
    },
  },
  {
    name: '`increment()` of a column that does not count',
    captured: [],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.increment(Post, { id: post.id }, 'views', 5);
    },
  },
  {
    name: '`update()` of a target, not of its key',
    captured: [],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      return () => manager.update(Author, { id: author.id }, { name: 'new' });
    },
  },
]);
