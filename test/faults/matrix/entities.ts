import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) publishedCount!: number;
  @Column({ default: 0 }) likesSum!: number;
}

@Entity()
export class Topic {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @Column({ default: 0 }) postsCount!: number;
}

/** No recalculation is scheduled: what is right at the end is right without one, unless the library found a reason. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount', recalculation: false })
@CounterCache<Post, Author>({
  relation: 'author',
  column: 'publishedCount',
  where: { published: true },
  recalculation: false,
})
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes', recalculation: false })
@CounterCache<Post, Topic>({ relation: 'topic', column: 'postsCount', recalculation: false })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: false }) published!: boolean;
  @Column({ default: 0 }) likes!: number;
  @Column({ type: 'integer' }) authorId!: number;
  @Column({ type: 'integer' }) topicId!: number;
  @ManyToOne(() => Author) @JoinColumn({ name: 'authorId' }) author!: Relation<Author>;
  @ManyToOne(() => Topic) @JoinColumn({ name: 'topicId' }) topic!: Relation<Topic>;
}

export const ENTITIES = [Author, Topic, Post];
