import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

/** The target: a row as a shop has it, with one counter. */
@Entity({ name: 'product', schema: 'shop' })
export class Product {
  @PrimaryColumn('bigint')
  id!: string;

  @Column()
  name!: string;

  @Column()
  price!: number;

  @Column({ default: 0 })
  reviewsCount!: number;
}

/** The source: it counts while it is published, so that a change of it makes its product dirty, as often as needed. */
@Entity({ name: 'review', schema: 'shop' })
@CounterCache<Review, Product>({ relation: 'product', column: 'reviewsCount', where: { published: true } })
export class Review {
  @PrimaryColumn('bigint')
  id!: string;

  @Index()
  @ManyToOne(() => Product, { nullable: false })
  @JoinColumn({ name: 'productId' })
  product!: Relation<Product>;

  @Column()
  text!: string;

  @Column({ default: false })
  published!: boolean;
}
