import type { ObjectLiteral } from 'typeorm';

import type { Random } from './random';
import { Attachment, Author, Category, Comment, Like, Node, Post, Tag } from './schema';

/** Values of some properties of one row. */
export type Values = ObjectLiteral;

/** A row of any table of the oracle, as TypeORM loads it. */
export interface Row extends ObjectLiteral {
  id: number;
}

/** A many-to-one relation. */
export interface Parent {
  readonly relation: string;
  /** Property of the foreign key, where there is one beside the relation. */
  readonly column: string | null;
  /** Its database column. */
  readonly key: string;
  /** The one-to-many side, where there is one. */
  readonly inverse: string | null;
  readonly table: Table;
}

/** What chooses keys of other rows. */
export interface Choices {
  readonly random: Random;
  /** The key of some row of a table; `null` now and then. */
  maybe(table: Table): Promise<number | null>;
  some(table: Table, count: number, where?: string): Promise<number[]>;
  /** Some values that a column has. */
  parents(table: Table, parent: { readonly key: string }, count: number): Promise<number[]>;
}

/** What the kinds of writes need to know of one table. */
export interface Table {
  readonly name: string;
  readonly entity: new () => Row;
  /** A numeric property that feeds a counter. */
  readonly amount: string | null;
  /** A unique, nullable property. */
  readonly unique: string | null;
  readonly isSoft: boolean;
  /** New rows bring their key along. */
  readonly isKeyed: boolean;
  readonly parents: readonly Parent[];
  /** Random values of the other properties. */
  readonly columns: Readonly<Record<string, (random: Random) => unknown>>;
  /** Columns that refer to other rows in a way that {@link Parent} cannot say, and how they are chosen. */
  readonly links: { readonly columns: readonly string[]; choose(choices: Choices): Promise<Values> } | null;
}

/** A table of nothing but a key. */
export const none = {
  amount: null,
  unique: null,
  isSoft: false,
  isKeyed: false,
  parents: [],
  columns: {},
  links: null,
} as const satisfies Partial<Table>;
const name = (random: Random): unknown => `n${random.below(100)}`;

export const authors: Table = { ...none, name: 'author', entity: Author, unique: 'email', columns: { name } };
export const categories: Table = { ...none, name: 'category', entity: Category, isKeyed: true, columns: { name } };
export const tags: Table = { ...none, name: 'tag', entity: Tag, columns: { name } };
export const posts: Table = {
  ...none,
  name: 'post',
  entity: Post,
  amount: 'likes',
  unique: 'slug',
  isSoft: true,
  parents: [
    { relation: 'author', column: 'authorId', key: 'authorId', inverse: 'posts', table: authors },
    { relation: 'category', column: null, key: 'categoryId', inverse: 'posts', table: categories },
  ],
  columns: {
    title: name,
    status: (random) => random.pick(['draft', 'live', 'hot']),
    kind: (random) => random.pick(['article', 'story', 'note', null]),
    rating: (random) => random.pick([null, '0.00', '1.25', '-3.50', '99.99']),
  },
};
export const comments: Table = {
  ...none,
  name: 'comment',
  entity: Comment,
  amount: 'amount',
  parents: [
    { relation: 'post', column: null, key: 'postId', inverse: 'comments', table: posts },
    { relation: 'author', column: 'authorId', key: 'authorId', inverse: null, table: authors },
  ],
};
export const attachments: Table = {
  ...none,
  name: 'attachment',
  entity: Attachment,
  amount: 'amount',
  isSoft: true,
  parents: [{ relation: 'post', column: null, key: 'postId', inverse: 'attachments', table: posts }],
};
export const likes: Table = { ...none, name: 'like', entity: Like, isKeyed: true, amount: 'amount', unique: 'token' };
export const nodes: Table = {
  ...none,
  name: 'node',
  entity: Node,
  amount: 'amount',
  isSoft: true,
  get parents(): readonly Parent[] {
    return [{ relation: 'parent', column: 'parentId', key: 'parentId', inverse: 'children', table: nodes }];
  },
};

/** Tables whose rows feed counters; those that feed more come up more often. */
export const SOURCES: readonly Table[] = [
  posts,
  posts,
  posts,
  posts,
  comments,
  comments,
  comments,
  attachments,
  attachments,
  likes,
  likes,
  nodes,
  nodes,
];
/** Tables whose rows carry counters. */
export const TARGETS: readonly Table[] = [authors, categories, tags, posts, comments, nodes];
