import { Post } from '../entities/blog';
import { group } from '../write-path';
import { blog } from './seeds';

export const REMOVALS = group('`remove()`, `softRemove()`, `recover()`', [
  {
    name: '`remove()`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.remove(post);
    },
  },
  {
    name: '`remove()` of 3 rows',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { posts } = await blog(manager, [{}, {}, {}]);
      return () => manager.remove(posts);
    },
  },
  {
    name: '`remove()` of a row that is gone',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.delete(Post, { id: post.id });
      return () => manager.remove(post);
    },
  },
  {
    name: '`remove()` of a soft-deleted row',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softRemove(post);
      return () => manager.remove(post);
    },
  },
  {
    name: '`softRemove()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.softRemove(post);
    },
  },
  {
    name: '`softRemove()`, repeated',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softRemove(post);
      return () => manager.softRemove(post);
    },
  },
  {
    name: '`recover()`',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softRemove(post);
      return () => manager.recover(post);
    },
  },
  {
    name: '`recover()`, repeated',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      await manager.softRemove(post);
      await manager.recover(post);
      return () => manager.recover(post);
    },
  },
]);
