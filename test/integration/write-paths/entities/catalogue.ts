import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Category {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) reviewsCount!: number;
  @Column({ default: 0 }) starsSum!: number;
  @Column({ default: 0 }) commentsCount!: number;
}

@Entity()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: true }) published!: boolean;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) categoryId!: number | null;
  @ManyToOne(() => Category, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'categoryId' })
  category!: Relation<Category> | null;
}

@Entity()
@CounterCache<Review, Category>({ relation: 'product.category', column: 'reviewsCount', recalculation: false })
@CounterCache<Review, Category>({
  relation: 'product.category',
  column: 'starsSum',
  incrementBy: 'stars',
  where: { product: { published: true } },
  recalculation: false,
})
export class Review {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) text!: string;
  @Column({ default: 3 }) stars!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column() productId!: number;
  @ManyToOne(() => Product, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'productId' }) product!: Relation<Product>;
}

@Entity()
@CounterCache<Comment, Category>({ relation: 'review.product.category', column: 'commentsCount', recalculation: false })
export class Comment {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) text!: string;
  @Column() reviewId!: number;
  @ManyToOne(() => Review, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'reviewId' }) review!: Relation<Review>;
}
