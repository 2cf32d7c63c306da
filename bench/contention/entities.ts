import { EntitySchema } from 'typeorm';
import { defineCounterCache, type Mode } from 'typeorm-counter-cache';

/** A parent. */
export interface Author {
  id: number;
  postsCount: number;
}

/** A child. */
export interface Post {
  id: number;
  title: string;
  authorId: number;
  author: Author;
}

/** The entities of one variant, over tables of its own: none meets what another has written. */
export interface Entities {
  readonly author: EntitySchema<Author>;
  readonly post: EntitySchema<Post>;
}

/** With a mode, posts are counted by this library. */
export function entitiesOf(variant: string, mode: Mode | null): Entities {
  const [authors, posts] = [`author_${variant}`, `post_${variant}`];
  const author = new EntitySchema<Author>({
    name: authors,
    columns: {
      id: { type: 'integer', primary: true, generated: 'increment' },
      postsCount: { type: 'integer', default: 0 },
    },
  });
  const post = new EntitySchema<Post>({
    name: posts,
    columns: {
      id: { type: 'integer', primary: true, generated: 'increment' },
      title: { type: 'text' },
      authorId: { type: 'integer' },
    },
    relations: {
      author: { type: 'many-to-one', target: authors, joinColumn: { name: 'authorId' }, nullable: false },
    },
    indices: [{ name: `index_${posts}`, columns: ['authorId'] }],
  });
  if (mode !== null) defineCounterCache<Post, Author>(post, { relation: 'author', column: 'postsCount', mode });
  return { author, post };
}
