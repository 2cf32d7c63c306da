import type { EntityManager } from 'typeorm';

import { countPopular } from './by-hand';
import { Post } from './entities';

/** A counter to recount, in some state. */
export interface Task {
  readonly name: string;
  readonly counter: string;
  readonly column: 'postsCount' | 'publishedCount' | 'likesSum' | 'popularCount';
  /** Every how many-th target is wrong before; 0 is none. */
  readonly wrong: number;
  /** How a user would count for one target. */
  readonly truth: (manager: EntityManager, authorId: number) => Promise<number>;
}

const countPosts: Task['truth'] = (manager, authorId) => manager.countBy(Post, { authorId });

/** What is recounted. */
export const TASKS: readonly Task[] = [
  { name: 'COUNT, all right', counter: 'posts', column: 'postsCount', wrong: 0, truth: countPosts },
  { name: 'COUNT, one of ten wrong', counter: 'posts', column: 'postsCount', wrong: 10, truth: countPosts },
  { name: 'COUNT, all wrong', counter: 'posts', column: 'postsCount', wrong: 1, truth: countPosts },
  {
    name: 'COUNT with `where`',
    counter: 'where',
    column: 'publishedCount',
    wrong: 0,
    truth: (manager, authorId) => manager.countBy(Post, { authorId, published: true }),
  },
  {
    name: 'SUM of a property',
    counter: 'likes',
    column: 'likesSum',
    wrong: 0,
    truth: async (manager, authorId) => Number(await manager.sum(Post, 'likes', { authorId })),
  },
  { name: '`if` is a function', counter: 'function', column: 'popularCount', wrong: 0, truth: countPopular },
];
