import { Column, DeleteDateColumn, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { User } from './user';

/** A post. One that is soft-deleted counts nowhere until it is restored; one that changes its author counts there. */
@Entity()
@CounterCache<Post, User>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, User>({ relation: 'author', column: 'publishedPostsCount', where: { published: true } })
export class Post {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  title!: string;

  @Column({ default: false })
  published!: boolean;

  @ManyToOne(() => User, { nullable: false })
  author!: Relation<User>;

  @Index()
  @Column()
  authorId!: number;

  @Column({ default: 0 })
  commentsCount!: number;

  /** Written together with `commentsCount`, in the same UPDATE. */
  @Column({ type: 'timestamptz', nullable: true })
  commentsUpdatedAt!: Date | null;

  @DeleteDateColumn({ type: 'timestamptz' })
  deletedAt!: Date | null;
}
