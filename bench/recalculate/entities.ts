import { Column, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

/** Likes from which a post is popular. */
export const POPULAR = 50;

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

  @Column({ default: 0 })
  popularCount!: number;
}

/** Feeds a counter of every kind that a recount tells apart. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount', name: 'posts' })
@CounterCache<Post, Author>({ relation: 'author', column: 'publishedCount', where: { published: true }, name: 'where' })
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes', name: 'likes' })
@CounterCache<Post, Author>({
  relation: 'author',
  column: 'popularCount',
  if: ({ likes }) => likes >= POPULAR,
  reads: ['likes'],
  name: 'function',
})
export class Post {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'text' })
  title!: string;

  @Column({ default: false })
  published!: boolean;

  @Column({ default: 0 })
  likes!: number;

  @ManyToOne(() => Author, { nullable: false })
  author!: Relation<Author>;

  @Index()
  @Column()
  authorId!: number;
}

/** Every entity of the benchmark. */
export const ENTITIES = [Author, Post];
