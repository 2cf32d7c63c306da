import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** Something to review. Its mean score is `scoreSum / reviewsCount`. */
@Entity()
export class Product {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  name!: string;

  @Column({ default: 0 })
  reviewsCount!: number;

  @Column({ default: 0 })
  scoreSum!: number;

  /** Reviews with 4 or 5 points. */
  @Column({ default: 0 })
  praisesCount!: number;
}
