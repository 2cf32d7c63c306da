import type { DataSource, EntityManager } from 'typeorm';

import { Author, Post, Topic } from './entities';

const AUTHORS = 6;
const TOPICS = 3;
const POSTS = 24;

/** Posts that only the victim's last transaction touches. */
const RESERVED = { moved: 1, removed: 2, likes: 3 } as const;
const FIRST_FREE = 4;

function post(i: number): Partial<Post> {
  return { authorId: (i % AUTHORS) + 1, topicId: (i % TOPICS) + 1, likes: i % 7, published: i % 2 === 0 };
}

/** Parents and posts, with ids from 1 on. */
export async function seed({ manager }: DataSource): Promise<void> {
  await manager.insert(
    Author,
    Array.from({ length: AUTHORS }, () => ({ name: 'a' })),
  );
  await manager.insert(
    Topic,
    Array.from({ length: TOPICS }, () => ({ name: 't' })),
  );
  await manager.insert(
    Post,
    Array.from({ length: POSTS }, (_, i) => post(i)),
  );
}

/** Inserts, updates that move and count, deletes, by statements and in transactions; one of them is rolled back. */
export async function write({ manager }: DataSource, round: number): Promise<void> {
  const id = FIRST_FREE + 3 * round;
  await manager.insert(Post, post(round));
  await manager.save(Post, { id, ...post(id + 1) });
  await manager.transaction(async (inner) => {
    await inner.insert(Post, [post(round + 1), post(round + 2)]);
    await inner.update(Post, { id: id + 1 }, { authorId: (round % AUTHORS) + 1, likes: 9, published: true });
    await inner.delete(Post, { id: id + 2 });
  });
  await rolledBack(manager, (inner) => inner.insert(Post, [post(round + 3), post(round + 4)]));
}

/** What the victim's last transaction adds to the number of posts of each target. */
export const LAST: Readonly<Record<string, number>> = {
  'author 1': 1,
  'author 2': -1,
  'author 5': 1,
  'topic 1': 2,
  'topic 2': -1,
};

/** The transaction that a writer dies in: it inserts, moves, deletes and counts, and rolls back to a savepoint. */
export async function writeLast({ manager }: DataSource): Promise<void> {
  await manager.transaction(async (inner) => {
    await inner.insert(Post, { authorId: 1, topicId: 1, likes: 5, published: true });
    await inner.insert(Post, { authorId: 1, topicId: 1, likes: 6 });
    await inner.update(Post, { id: RESERVED.moved }, { authorId: 5 });
    await inner.delete(Post, { id: RESERVED.removed });
    await inner.update(Post, { id: RESERVED.likes }, { likes: 50 });
    await rolledBack(inner, (saved) => saved.insert(Post, { authorId: 1, topicId: 2 }));
  });
}

/** Whether the last transaction is there. */
export async function isLastCommitted({ manager }: DataSource): Promise<boolean> {
  return manager.existsBy(Post, { id: RESERVED.likes, likes: 50 });
}

async function rolledBack(manager: EntityManager, work: (inner: EntityManager) => Promise<unknown>): Promise<void> {
  const regret = new Error('rolled back');
  try {
    await manager.transaction(async (inner) => {
      await work(inner);
      throw regret;
    });
  } catch (error) {
    if (error !== regret) throw error;
  }
}
