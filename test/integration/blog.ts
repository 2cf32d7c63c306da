import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) publishedCount!: number;
  @Column({ default: 0 }) likesSum!: number;
  @UpdateDateColumn({ type: 'timestamptz' }) updatedAt!: Date;
  @VersionColumn() version!: number;
  @OneToMany(() => Post, (post) => post.author, { cascade: true }) posts!: Relation<Post>[];
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Author>({ relation: 'author', column: 'publishedCount', where: { published: true } })
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @Column({ default: false }) published!: boolean;
  @Column({ default: 0 }) likes!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, (author) => author.posts, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author> | null;
}

/** What the counters of an author should be, by SQL. */
export const TRUTH = `
  SELECT a.id, a."postsCount", a."publishedCount", a."likesSum",
    count(p.id)::int AS posts, count(p.id) FILTER (WHERE p.published)::int AS published, COALESCE(sum(p.likes), 0)::int AS likes
  FROM author a LEFT JOIN post p ON p."authorId" = a.id AND p."deletedAt" IS NULL GROUP BY a.id ORDER BY a.id`;
