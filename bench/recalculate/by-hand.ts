import { Between, type DataSource } from 'typeorm';

import { Author, POPULAR, Post } from './entities';
import type { Task } from './tasks';

/** What one would write without the library: count for every target, compare, update. */
export async function recountByHand(
  { manager }: DataSource,
  { column, truth }: Task,
  [from, to]: readonly [number, number],
  concurrency: number,
): Promise<void> {
  const authors = await manager.findBy(Author, { id: Between(from, to) });
  const recountNext = async (): Promise<void> => {
    for (let author = authors.pop(); author !== undefined; author = authors.pop()) {
      const right = await truth(manager, author.id);
      if (author[column] !== right) await manager.update(Author, { id: author.id }, { [column]: right });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, recountNext));
}

/** Rows are loaded: SQL cannot call the function. */
export async function countPopular(manager: DataSource['manager'], authorId: number): Promise<number> {
  const posts = await manager.find(Post, { where: { authorId }, select: { id: true, likes: true } });
  return posts.filter(({ likes }) => likes >= POPULAR).length;
}
