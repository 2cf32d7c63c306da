import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type QueryRunner, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
export class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Shelf>({ relation: 'shelf', column: 'postsCount' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @ManyToOne(() => Author, { onDelete: 'CASCADE' }) author!: Relation<Author>;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
}

export const [first, second] = [{ id: 1 }, { id: 2 }];

/** A post of the first author, unless you say otherwise. */
export function post(author = first): { author: { id: number }; shelf: { id: number } } {
  return { author, shelf: first };
}

/** What one transaction does, on its query runner: one post of the first author is there, and one of the second. */
export type Work = (runner: QueryRunner) => Promise<unknown>;

export const TRIGGER = `
  CREATE FUNCTION hand_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."authorId" := 2; RETURN NEW; END';
  CREATE TRIGGER hand_over BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION hand_over()`;

/** Drops the foreign key to authors: posts stay when their author goes. */
const dropKey: Work = async (runner) => {
  const keys = (await runner.query(
    `SELECT quote_ident(conname) AS name FROM pg_constraint WHERE conrelid = 'post'::regclass AND confrelid = 'author'::regclass`,
  )) as readonly { readonly name: string }[];
  for (const { name } of keys) await runner.query(`ALTER TABLE post DROP CONSTRAINT ${name}`);
};

/** Text that TypeORM does not see. */
export const byClient = async (runner: QueryRunner, sql: string): Promise<void> => {
  const client = (await runner.connect()) as { query(text: string): Promise<unknown> };
  await client.query(sql);
};

/** Posts of each author, and posts on the shelf. */
export type Counts = readonly [number | undefined, number, number];

export const WORKS: readonly (readonly [string, Work, Counts])[] = [
  [
    'another table is made',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int)');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a column is added to the table that is written',
    async ({ manager }) => {
      await manager.query('ALTER TABLE post ADD COLUMN extra int');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'another table is made, and the one that is written is locked',
    async ({ manager }) => {
      await manager.query('CREATE TABLE archive (a int)');
      await manager.query('LOCK TABLE post, author, shelf');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a trigger is made that hands posts over',
    async ({ manager }) => {
      await manager.query(TRIGGER);
      await manager.update(Post, { id: 1 }, { title: 'other' });
    },
    [0, 2, 2],
  ],
  [
    'a trigger is made, and taken back',
    async ({ manager }) => {
      await manager.query('SAVEPOINT before');
      await manager.query(TRIGGER);
      await manager.update(Post, { id: 1 }, { title: 'other' });
      await manager.query('ROLLBACK TO SAVEPOINT before');
      await manager.update(Post, { id: 1 }, { title: 'other' });
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a foreign key is dropped',
    async (runner) => {
      await dropKey(runner);
      await runner.manager.delete(Author, first);
    },
    [undefined, 1, 2],
  ],
  [
    'a foreign key is dropped, and taken back',
    async (runner) => {
      await runner.query('SAVEPOINT before');
      await dropKey(runner);
      await runner.manager.insert(Post, post());
      await runner.query('ROLLBACK TO SAVEPOINT before');
      await runner.manager.delete(Author, first);
    },
    [undefined, 1, 1],
  ],
  [
    'the search path is another one',
    async ({ manager }) => {
      await manager.query('CREATE SCHEMA elsewhere');
      await manager.query('CREATE TABLE elsewhere.author (id int PRIMARY KEY, "postsCount" int)');
      await manager.query('SET LOCAL search_path = public, elsewhere');
      await manager.insert(Post, post());
      const [row] = await manager.query<{ search_path: string }[]>('SHOW search_path');
      expect(row?.search_path).toBe('public, elsewhere');
    },
    [2, 1, 3],
  ],
];

/** Commands that are not seen: their targets are recounted by a worker. */
export const UNSEEN: readonly (readonly [string, Work, Counts])[] = [
  [
    'another table is dropped, with a ROLLBACK TO in the same text',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int)');
      await manager.query('SAVEPOINT before');
      await manager.insert(Post, post());
      await manager.query('DROP TABLE scratch; ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
  [
    'another table is made, with a SAVEPOINT in the same text',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int); SAVEPOINT before');
      await manager.insert(Post, post());
      await manager.query('ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
  [
    'another table is made, and ROLLBACK TO is not seen',
    async (runner) => {
      await runner.query('CREATE TABLE scratch (a int)');
      await runner.query('SAVEPOINT before');
      await runner.manager.insert(Post, post());
      await byClient(runner, 'ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
];
