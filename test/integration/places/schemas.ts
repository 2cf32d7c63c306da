import { Client } from 'pg';
import {
  Column,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) commentsCount!: number;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @Column({ type: 'integer', nullable: true, unique: true }) slot!: number | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, { onDelete: 'CASCADE' }) author!: Relation<Author> | null;
  @Column({ default: 0 }) tagsCount!: number;
}

@Entity()
@CounterCache<Comment, Author>({ relation: 'post.author', column: 'commentsCount' })
export class Comment {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'integer', nullable: true }) postId!: number | null;
  @ManyToOne(() => Post, { onDelete: 'CASCADE' }) post!: Relation<Post> | null;
}

@Entity()
@CounterCache<Tagging, Post>({ relation: 'post', column: 'tagsCount' })
export class Tagging {
  @PrimaryColumn() postId!: number;
  @PrimaryColumn() tag!: string;
  @ManyToOne(() => Post, { onDelete: 'CASCADE' }) post!: Relation<Post>;
}

export const ENTITIES = [Author, Post, Comment, Tagging];

/** The same tables again, each schema with an author, a post of it, and a comment. */
export async function copyTables(databaseUrl: string, ...schemas: readonly string[]): Promise<void> {
  await execute(
    databaseUrl,
    schemas
      .map(
        (schema) => `
      CREATE SCHEMA ${schema};
      SET search_path = ${schema};
      CREATE TABLE author (LIKE public.author INCLUDING ALL); CREATE TABLE post (LIKE public.post INCLUDING ALL);
      CREATE TABLE comment (LIKE public.comment INCLUDING ALL); CREATE TABLE tagging (LIKE public.tagging INCLUDING ALL);
      ALTER TABLE post ADD FOREIGN KEY ("authorId") REFERENCES author ON DELETE CASCADE;
      ALTER TABLE comment ADD FOREIGN KEY ("postId") REFERENCES post ON DELETE CASCADE;
      ALTER TABLE tagging ADD FOREIGN KEY ("postId") REFERENCES post ON DELETE CASCADE;
      INSERT INTO author (id) VALUES (1); INSERT INTO post (id, slot, "authorId") VALUES (1, 1, 1), (2, 2, 1);
      INSERT INTO post (id, slot, "authorId", "deletedAt") VALUES (100003, 3, 1, now());
      INSERT INTO comment (id, "postId") VALUES (100001, 1); INSERT INTO tagging VALUES (1, 'old');`,
      )
      .join(';'),
  );
}

export async function execute(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
