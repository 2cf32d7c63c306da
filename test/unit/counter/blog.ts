import 'reflect-metadata';

import {
  Column,
  DataSource,
  type DataSourceOptions,
  DeleteDateColumn,
  Entity,
  type EntitySchema,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
  VirtualColumn,
} from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import type { Definitions } from '../../../src/model/definition';
import { resolveDefinitions } from '../../../src/declare/registry';
import { ConfigurationError } from '../../../src/errors';

/** A DataSource with metadata and no connection. */
export async function metadataOnly(
  entities: (NewableFunction | EntitySchema<never>)[],
  options: Partial<DataSourceOptions> = {},
): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', entities, ...options } as DataSourceOptions);
  await (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas();
  return dataSource;
}

/** The definitions of a DataSource of these entities. */
export async function definitionsOf(entities: Parameters<typeof metadataOnly>[0]): Promise<Definitions> {
  return resolveDefinitions(await metadataOnly(entities));
}

/** The problems that a DataSource of these entities is refused with. */
export async function problemsOf(
  entities: Parameters<typeof metadataOnly>[0],
  options: Partial<DataSourceOptions> = {},
): Promise<readonly string[]> {
  const dataSource = await metadataOnly(entities, options);
  try {
    resolveDefinitions(dataSource);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

/** The problems of one wrong declaration on `Post`. */
export async function refusing(options: unknown): Promise<readonly string[]> {
  const { Post, entities } = blog();
  defineCounterCache(Post, options as never);
  return problemsOf(entities);
}

/** Fresh classes, so that each test decorates its own. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- local classes have no name outside
export function blog() {
  class Stats {
    @Column({ default: 0 }) nested!: number;
  }

  @Entity()
  class User {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ unique: true }) handle!: string;
    @Column({ default: 0 }) postsCount!: number;
    @Column({ default: 0 }) draftsCount!: number;
    @Column({ type: 'bigint', nullable: true }) viewsCount!: string | null;
    @Column({ type: 'numeric', precision: 12, scale: 2, default: 0 }) earnings!: string;
    @Column({ type: 'numeric', default: 0 }) unbounded!: string;
    @Column({ type: 'float', default: 0 }) float!: number;
    @Column({ default: '' }) text!: string;
    @Column({ type: 'int', array: true, default: '{}' }) list!: number[];
    @Column() bare!: number;
    @Column({ default: 5 }) five!: number;
    @Column({ type: 'int', asExpression: '1', generatedType: 'STORED', default: 0 }) computed!: number;
    @Column({ default: 0, generated: 'increment' } as object) serial!: number;
    @VersionColumn() version!: number;
    @UpdateDateColumn() updatedAt!: Date;
    @DeleteDateColumn() deletedAt!: Date | null;
    @Column({ type: 'timestamptz', nullable: true }) postedAt!: Date | null;
    @Column(() => Stats) stats!: Stats;

    recount(): Promise<number> {
      return Promise.resolve(1);
    }
  }

  @Entity()
  class Post {
    @PrimaryGeneratedColumn() id!: number;
    @Column() title!: string;
    @Column({ default: false }) published!: boolean;
    @Column({ type: 'int', nullable: true }) views!: number | null;
    @Column({ type: 'numeric', precision: 10, scale: 3, default: 0 }) price!: string;
    @Column({ type: 'numeric', default: 0 }) loose!: string;
    @Column({ type: 'float', default: 0 }) rating!: number;
    @Column({ type: 'int', array: true, default: '{}' }) scores!: number[];
    @Column({ nullable: true }) authorId!: number | null;
    @ManyToOne(() => User) author!: Relation<User> | null;
    @ManyToOne(() => User) editor!: Relation<User> | null;
    @OneToMany(() => Comment, 'post') comments!: Relation<Comment>[];
    @OneToOne(() => Cover, 'post') cover!: Relation<Cover>;
    @DeleteDateColumn({ name: 'deleted_at' }) deletedAt!: Date | null;
    @Column({ default: 0 }) commentsCount!: number;
    @VirtualColumn({ query: () => '1' }) virtual!: number;
  }

  @Entity()
  class Comment {
    @PrimaryGeneratedColumn() id!: number;
    @ManyToOne(() => Post) post!: Relation<Post>;
    @Column() kind!: string;
    @Column() ownerId!: number;
  }

  @Entity()
  class Cover {
    @PrimaryGeneratedColumn() id!: number;
    @OneToOne(() => Post, 'cover') post!: Relation<Post>;
  }

  @Entity()
  class Pair {
    @PrimaryColumn() a!: number;
    @PrimaryColumn() b!: number;
    @Column({ default: 0 }) commentsCount!: number;
  }

  return { User, Post, Comment, Cover, Pair, entities: [User, Post, Comment, Cover, Pair] };
}
