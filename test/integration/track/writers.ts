import {
  Column,
  DeleteDateColumn,
  Entity,
  IsNull,
  JoinColumn,
  ManyToOne,
  Not,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup, type SetupOptions } from '../../support/setup';
import { untilIdle } from '../idle';
import { type Internals, openInternals } from '../internals';
import { Note } from '../note';

@Entity()
export class Writer {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) likes!: number;
  @Column({ default: 0 }) printedCount!: number;
}

@Entity()
export class Blog {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
export class Edition {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
@CounterCache<Post, Writer>({ relation: 'writer', column: 'postsCount' })
@CounterCache<Post, Writer>({ relation: 'writer', column: 'likes', incrementBy: 'likes' })
@CounterCache<Post, Writer>({ relation: 'writer', column: 'printedCount', where: { editionId: Not(IsNull()) } })
@CounterCache<Post, Blog>({ relation: 'blog', column: 'postsCount' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 'draft' }) status!: string;
  @Column({ default: 1 }) likes!: number;
  @ManyToOne(() => Writer, { onDelete: 'CASCADE' }) writer!: Relation<Writer> | null;
  @ManyToOne(() => Blog) blog!: Relation<Blog> | null;
  @Column({ type: 'integer', nullable: true }) editionId!: number | null;
  @ManyToOne(() => Edition, { onDelete: 'SET NULL' }) @JoinColumn({ name: 'editionId' }) edition!: Relation<Edition>;
  @ManyToOne(() => Post, { onDelete: 'CASCADE' }) sequelOf!: Relation<Post> | null;
  @DeleteDateColumn() deletedAt!: Date | null;
}

@Entity()
export class Reader {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) commentsCount!: number;
}

@Entity()
@CounterCache<Comment, Reader>({ relation: 'reader', column: 'commentsCount' })
export class Comment {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Post, { onDelete: 'CASCADE' }) post!: Relation<Post>;
  @ManyToOne(() => Reader) reader!: Relation<Reader>;
}

const LIVE = 'FROM post p WHERE p."deletedAt" IS NULL AND p';

const WRONG = `
  SELECT 'writer' AS kind, id, got, "right" FROM (
    SELECT w.id, ARRAY[w."postsCount", w.likes, w."printedCount"] AS got, ARRAY[
      (SELECT count(*) ${LIVE}."writerId" = w.id), (SELECT COALESCE(sum(p.likes), 0) ${LIVE}."writerId" = w.id),
      (SELECT count(p."editionId") ${LIVE}."writerId" = w.id)]::int[] AS "right" FROM writer w
  ) x WHERE got <> "right"
  UNION ALL SELECT 'blog', id, ARRAY[got], ARRAY["right"] FROM (
    SELECT b.id, b."postsCount" AS got, (SELECT count(*)::int ${LIVE}."blogId" = b.id) AS "right" FROM blog b
  ) x WHERE got <> "right"
  UNION ALL SELECT 'reader', id, ARRAY[got], ARRAY["right"] FROM (
    SELECT r.id, r."commentsCount" AS got, (SELECT count(*)::int FROM comment c WHERE c."readerId" = r.id) AS "right"
    FROM reader r
  ) x WHERE got <> "right"`;

/** Writers with posts, and a way to look whether all is counted. */
export interface Writers extends Fixture {
  readonly internals: Internals;
  /** Columns equal the truth once deltas are applied, without any recalculation. */
  expectExact(): Promise<void>;
  /** Columns equal the truth once a worker is done, recalculations included. */
  expectExactOnceIdle(): Promise<void>;
}

export async function setupWriters(options: Partial<SetupOptions> = {}): Promise<Writers> {
  const entities = [Writer, Blog, Edition, Post, Reader, Comment, Note];
  const fixture = await setup({ ...options, entities });
  const internals = await openInternals(fixture.dataSource);
  const wrong = (): Promise<unknown> => fixture.dataSource.query(WRONG);
  return {
    ...fixture,
    internals,
    async expectExact() {
      await fixture.counters.flush();
      expect(await wrong()).toEqual([]);
    },
    async expectExactOnceIdle() {
      const worker = await fixture.counters.startWorker();
      await untilIdle(fixture, internals);
      await worker.close();
      expect(await wrong()).toEqual([]);
    },
    async close(given) {
      await internals.close();
      await fixture.close(given);
    },
  };
}
