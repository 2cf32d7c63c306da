import { Column, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { Product } from './product';
import { User } from './user';

/** A review: a count, a sum of a column, and a condition in code. */
@Entity()
@CounterCache<Review, Product>({ relation: 'product', column: 'reviewsCount' })
@CounterCache<Review, Product>({ relation: 'product', column: 'scoreSum', incrementBy: 'score' })
@CounterCache<Review, Product>({
  relation: 'product',
  column: 'praisesCount',
  if: (review) => review.score >= 4,
  reads: ['score'],
})
export class Review {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column()
  body!: string;

  /** 1 to 5. */
  @Column()
  score!: number;

  @ManyToOne(() => Product, { nullable: false })
  product!: Relation<Product>;

  @Index()
  @Column()
  productId!: number;

  @ManyToOne(() => User, { nullable: false })
  author!: Relation<User>;

  @Index()
  @Column()
  authorId!: number;
}
