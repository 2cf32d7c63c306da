import { Column, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'text' })
  name!: string;

  @Column({ default: 0 })
  postsCount!: number;
}

/** The same without the counter. */
@Entity()
export class PlainAuthor {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'text' })
  name!: string;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
export class Post {
  @PrimaryGeneratedColumn()
  id!: number;

  @ManyToOne(() => Author, { nullable: false })
  author!: Relation<Author>;

  @Index()
  @Column()
  authorId!: number;
}

/** Every entity of the benchmark. */
export const ENTITIES = [Author, PlainAuthor, Post];
