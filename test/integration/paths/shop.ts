import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

@Entity()
export class Category {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) commentsCount!: number;
  @Column({ default: 0 }) visibleCount!: number;
  @Column({ default: 0 }) reviewsCount!: number;
  @Column({ type: 'numeric', precision: 12, scale: 2, default: 0 }) stars!: NumericText;
  @Column({ default: 0 }) longCount!: number;
}

@Entity()
export class Product {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: true }) published!: boolean;
  @Column({ nullable: true }) categoryId!: number | null;
  @ManyToOne(() => Category, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'categoryId' })
  category!: Relation<Category> | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
}

@Entity()
@CounterCache<Review, Category>({ relation: 'product.category', column: 'reviewsCount' })
@CounterCache<Review, Category>({ relation: 'product.category', column: 'stars', incrementBy: 'stars' })
export class Review {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', precision: 3, scale: 1, default: 3 }) stars!: NumericText;
  @Column({ default: true }) visible!: boolean;
  @ManyToOne(() => Product, { onDelete: 'CASCADE' }) product!: Relation<Product> | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
}

@Entity()
@CounterCache<Comment, Category>({ relation: 'review.product.category', column: 'commentsCount' })
@CounterCache<Comment, Category>({
  relation: 'review.product.category',
  column: 'visibleCount',
  where: { approved: true, review: { visible: true, product: { published: true } } },
})
@CounterCache<Comment, Category>({
  relation: 'review.product.category',
  column: 'longCount',
  if: ({ text }) => text.length > 10,
  reads: ['text'],
})
export class Comment {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) text!: string;
  @Column({ default: true }) approved!: boolean;
  @ManyToOne(() => Review, { onDelete: 'CASCADE' }) review!: Relation<Review>;
}

export const SHOP = [Category, Product, Review, Comment];

const BELOW = `FROM comment c JOIN review r ON r.id = c."reviewId" AND r."deletedAt" IS NULL
  JOIN product p ON p.id = r."productId" AND p."deletedAt" IS NULL WHERE p."categoryId" = k.id`;
const REVIEWS = `FROM review r JOIN product p ON p.id = r."productId" AND p."deletedAt" IS NULL
  WHERE p."categoryId" = k.id AND r."deletedAt" IS NULL`;

/** Every category whose columns are not the truth by SQL. */
export const WRONG = `SELECT * FROM (SELECT k.id,
    ARRAY[k."commentsCount", k."visibleCount", k."longCount", k."reviewsCount", k.stars]::text[] AS got,
    ARRAY[(SELECT count(*) ${BELOW}), (SELECT count(*) ${BELOW} AND c.approved AND r.visible AND p.published),
      (SELECT count(*) ${BELOW} AND length(c.text) > 10), (SELECT count(*) ${REVIEWS}),
      (SELECT COALESCE(sum(r.stars), 0)::numeric(12,2) ${REVIEWS})]::text[] AS right
  FROM category k) x WHERE x.got <> x.right`;
