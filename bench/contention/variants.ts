import type { DataSource, EntityManager } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';

import type { Entities, Post } from './entities';

/** How a client writes new posts: `transaction` is `insert()` in a transaction. */
export type Method = 'save' | 'transaction' | 'insert';

/** Posts of one transaction, by author. */
export type NewPosts = readonly Pick<Post, 'authorId' | 'title'>[];

/** Writes posts, and counts them. */
export type Write = (posts: NewPosts) => Promise<void>;

/** What is counted beside the posts, author by author. */
export interface Elsewhere {
  /** INCR of a key, and a job that brings the key's value to the row. */
  readonly naive: (authorId: number, posts: number) => Promise<void>;
}

/** A way to keep a counter column. */
export interface ContentionVariant {
  readonly name: string;
  readonly title: string;
  /** Of this library. */
  readonly mode: Mode | null;
  /** Statements beside the tables. */
  readonly ddl?: (tables: { readonly author: string; readonly post: string }) => readonly string[];
  /** Keeps no counter. */
  readonly isPlain?: boolean;
  readonly write: (context: WriteContext) => Write;
  /** An SQL expression of the count of the author `a`. */
  readonly count?: (author: string) => string;
}

/** What a variant writes with. */
export interface WriteContext {
  readonly dataSource: DataSource;
  readonly entities: Entities;
  readonly method: Method;
  readonly elsewhere: Elsewhere;
}

const SLOTS = 100;

/** Inside of the manager's transaction, if it is in one. */
function put({ entities, method }: WriteContext, manager: EntityManager, posts: NewPosts): Promise<unknown> {
  if (method !== 'save') return manager.insert(entities.post, [...posts]);
  const [only] = posts;
  // Copies: save() writes ids into what it is given.
  return posts.length === 1 && only !== undefined
    ? manager.save(entities.post, { ...only })
    : manager.save(
        entities.post,
        posts.map((post) => ({ ...post })),
      );
}

/** Posts per author, in the order of their ids: who locks rows in another order meets deadlocks. */
function perAuthor(posts: NewPosts): [author: number, posts: number][] {
  const sums = new Map<number, number>();
  for (const { authorId } of posts) sums.set(authorId, (sums.get(authorId) ?? 0) + 1);
  return [...sums].toSorted(([left], [right]) => left - right);
}

async function increment({ entities }: WriteContext, manager: EntityManager, posts: NewPosts): Promise<void> {
  for (const [id, count] of perAuthor(posts)) await manager.increment(entities.author, { id }, 'postsCount', count);
}

const putOnly = (context: WriteContext): Write => {
  const { dataSource, method } = context;
  return async (posts) => {
    if (method === 'transaction') await dataSource.transaction((manager) => put(context, manager, posts));
    else await put(context, dataSource.manager, posts);
  };
};

const none: ContentionVariant = { name: 'none', title: 'no counter', mode: null, isPlain: true, write: putOnly };

const inTransaction: ContentionVariant = {
  name: 'in_transaction',
  title: 'UPDATE in the transaction',
  mode: null,
  write: (context) => (posts) =>
    context.dataSource.transaction(async (manager) => {
      await put(context, manager, posts);
      await increment(context, manager, posts);
    }),
};

const afterCommit: ContentionVariant = {
  name: 'after_commit',
  title: 'UPDATE after COMMIT',
  mode: null,
  write: (context) => async (posts) => {
    await putOnly(context)(posts);
    await increment(context, context.dataSource.manager, posts);
  },
};

const trigger: ContentionVariant = {
  name: 'trigger',
  title: 'database trigger',
  mode: null,
  ddl: ({ author, post }) => [
    `CREATE FUNCTION count_${post}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       UPDATE ${author} SET "postsCount" = "postsCount" + 1 WHERE id = NEW."authorId"; RETURN NULL;
     END $$`,
    `CREATE TRIGGER count_${post} AFTER INSERT ON ${post} FOR EACH ROW EXECUTE FUNCTION count_${post}()`,
  ],
  write: putOnly,
};

const slots: ContentionVariant = {
  name: 'slots',
  title: `slotted counter, ${SLOTS} slots`,
  mode: null,
  ddl: ({ author }) => [
    `CREATE TABLE slot_${author} (author integer, slot integer, posts integer, PRIMARY KEY (author, slot))`,
  ],
  write: (context) => (posts) =>
    context.dataSource.transaction(async (manager) => {
      await put(context, manager, posts);
      for (const [id, count] of perAuthor(posts)) {
        const slot = Math.floor(Math.random() * SLOTS);
        await manager.query(
          `INSERT INTO slot_${context.entities.author.options.name} AS s VALUES ($1, $2, $3)
           ON CONFLICT (author, slot) DO UPDATE SET posts = s.posts + EXCLUDED.posts`,
          [id, slot, count],
        );
      }
    }),
  count: (author) => `(SELECT COALESCE(sum(s.posts), 0) FROM slot_${author} s WHERE s.author = a.id)`,
};

const naive: ContentionVariant = {
  name: 'naive',
  title: 'Redis INCR and a BullMQ job per parent',
  mode: null,
  write: (context) => async (posts) => {
    await putOnly(context)(posts);
    for (const [id, count] of perAuthor(posts)) await context.elsewhere.naive(id, count);
  },
};

function ours(mode: Mode): ContentionVariant {
  return { name: mode, title: `this library, ${mode}`, mode, write: putOnly };
}

/** The first is what all are compared with. */
export const VARIANTS: readonly ContentionVariant[] = [
  none,
  inTransaction,
  afterCommit,
  trigger,
  slots,
  naive,
  ours('buffered'),
  ours('outbox'),
];

/** The variant of this name. */
export function variantOf(name: string): ContentionVariant {
  const variant = VARIANTS.find((one) => one.name === name);
  if (variant === undefined) throw new Error(`there is no variant ${name}`);
  return variant;
}
