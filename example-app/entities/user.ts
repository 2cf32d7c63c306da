import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** Somebody who writes posts, comments and reviews. Every count below is kept by the library: read it, never write it. */
@Entity()
export class User {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  name!: string;

  @Column({ default: 0 })
  postsCount!: number;

  @Column({ default: 0 })
  publishedPostsCount!: number;

  @Column({ default: 0 })
  commentsCount!: number;

  @Column({ default: 0 })
  ratingsCount!: number;

  @Column({ default: 0 })
  followersCount!: number;

  @Column({ default: 0 })
  followingCount!: number;
}
