import { Column, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { Post } from './post';
import { User } from './user';

/** A comment. On a relation property, `@CounterCache` needs no `relation`. */
@Entity()
export class Comment {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  body!: string;

  @CounterCache<Comment, Post>({ column: 'commentsCount', touch: 'commentsUpdatedAt' })
  @ManyToOne(() => Post, { nullable: false })
  post!: Relation<Post>;

  @Index()
  @Column()
  postId!: number;

  @CounterCache<Comment, User>({ column: 'commentsCount' })
  @ManyToOne(() => User, { nullable: false })
  author!: Relation<User>;

  @Index()
  @Column()
  authorId!: number;
}
