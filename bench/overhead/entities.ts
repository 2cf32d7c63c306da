import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  UpdateDateColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

/** Feeds no counter, and carries none. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  text!: string;

  @Column({ default: false })
  read!: boolean;

  @UpdateDateColumn()
  updatedAt!: Date;
}

@Entity()
export class Author {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ default: 0 })
  postsCount!: number;

  @Column({ default: 0 })
  publishedCount!: number;

  @Column({ default: 0 })
  likesSum!: number;
}

/** Feeds three counters and carries one; its title matters to none of them. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Author>({ relation: 'author', column: 'publishedCount', where: { published: true } })
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes' })
export class Post {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  title!: string;

  @Column({ default: false })
  published!: boolean;

  @Column({ default: 0 })
  likes!: number;

  @ManyToOne(() => Author, { nullable: false })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author>;

  @Column()
  authorId!: number;

  @Column({ default: 0 })
  commentsCount!: number;

  @DeleteDateColumn()
  deletedAt!: Date | null;
}

@Entity()
@CounterCache<Comment, Post>({ relation: 'post', column: 'commentsCount' })
export class Comment {
  @PrimaryGeneratedColumn()
  id!: number;

  @ManyToOne(() => Post, { nullable: false })
  post!: Relation<Post>;
}

/** Every entity of the benchmark. */
export const ENTITIES = [Note, Author, Post, Comment];
