import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { NumericText } from 'typeorm-counter-cache';

/** A movie to rate. Its mean rating is `ratingsSum / ratingsCount`. */
@Entity()
export class Movie {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  name!: string;

  @Column({ default: 0 })
  ratingsCount!: number;

  /** Half stars are exact: decimals are never summed as floats. */
  @Column({ type: 'numeric', precision: 12, scale: 1, default: 0 })
  ratingsSum!: NumericText;
}
