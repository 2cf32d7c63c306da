import { Column, Entity, Index, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { Movie } from './movie';
import { User } from './user';

/** One user's rating of one movie, written by upsert: rating again changes the sum and not the counts. */
@Entity()
@CounterCache<Rating, Movie>({ relation: 'movie', column: 'ratingsCount' })
@CounterCache<Rating, Movie>({ relation: 'movie', column: 'ratingsSum', incrementBy: 'value' })
@CounterCache<Rating, User>({ relation: 'user', column: 'ratingsCount' })
export class Rating {
  @ManyToOne(() => User, { nullable: false })
  user!: Relation<User>;

  @PrimaryColumn()
  userId!: number;

  @ManyToOne(() => Movie, { nullable: false })
  movie!: Relation<Movie>;

  @Index()
  @PrimaryColumn()
  movieId!: number;

  /** Half stars from 0.5 to 5.0; TypeORM gives numeric columns as text. */
  @Column({ type: 'numeric', precision: 2, scale: 1 })
  value!: NumericText;
}
