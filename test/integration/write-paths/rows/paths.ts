import { Comment, Product, Review } from '../entities/catalogue';
import { group } from '../write-path';
import { catalogue } from './seeds';

export const PATH_SOURCES = group('Sources on a path (`review.product.category`)', [
  {
    name: '`save()` of a new row',
    captured: ['returned rows', 'path'],
    run: async ({ manager }) => {
      const { review } = await catalogue(manager);
      return () => manager.save(Comment, { reviewId: review.id });
    },
  },
  {
    name: '`insert()` of 3 rows',
    captured: ['returned rows', 'path'],
    run: async ({ manager }) => {
      const { review } = await catalogue(manager);
      return () =>
        manager.insert(
          Comment,
          [0, 1, 2].map(() => ({ reviewId: review.id })),
        );
    },
  },
  {
    name: '`insert()` of a row that counts on two paths (one has a condition)',
    captured: ['returned rows', 'path'],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      return () => manager.insert(Review, { productId: product.id, stars: 5 });
    },
  },
  {
    name: '`update()`: moved elsewhere',
    captured: ['old and new rows', 'path'],
    run: async ({ manager }) => {
      const [one, two] = [await catalogue(manager), await catalogue(manager)];
      return () => manager.update(Comment, { id: one.comment.id }, { reviewId: two.review.id });
    },
  },
  {
    name: '`update()`: of columns that do not count',
    captured: [],
    run: async ({ manager }) => {
      const { comment } = await catalogue(manager);
      return () => manager.update(Comment, { id: comment.id }, { text: 'new' });
    },
  },
  {
    name: '`update()`: no row',
    captured: ['old and new rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.update(Comment, { id: 0 }, { reviewId: 1 }),
  },
  {
    name: '`delete()`',
    captured: ['returned rows', 'path'],
    run: async ({ manager }) => {
      const { comment } = await catalogue(manager);
      return () => manager.delete(Comment, { id: comment.id });
    },
  },
  {
    name: '`insert()` under REPEATABLE READ',
    captured: ['returned rows', 'path'],
    run: async ({ dataSource, manager }) => {
      const { review } = await catalogue(manager);
      return () => dataSource.transaction('REPEATABLE READ', (inner) => inner.insert(Comment, { reviewId: review.id }));
    },
  },
]);

export const ROWS_BETWEEN = group('Intermediate rows (`review`, `product`)', [
  {
    name: 'insert',
    captured: [],
    run: async ({ manager }) => {
      const { category } = await catalogue(manager);
      return () => manager.insert(Product, { categoryId: category.id });
    },
  },
  {
    name: 'change of columns that do not count',
    captured: [],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      return () => manager.update(Product, { id: product.id }, { name: 'new' });
    },
  },
  {
    name: 'move, 1 step before the target',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      const { product, other } = await catalogue(manager);
      return () => manager.update(Product, { id: product.id }, { categoryId: other.id });
    },
  },
  {
    name: 'move, 2 steps before the target (counts itself as well)',
    captured: ['old and new rows', 'path', 'recount'],
    run: async ({ manager }) => {
      const [one, two] = [await catalogue(manager), await catalogue(manager)];
      return () => manager.update(Review, { id: one.review.id }, { productId: two.product.id });
    },
  },
  {
    name: 'leaves a condition',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      return () => manager.update(Product, { id: product.id }, { published: false });
    },
  },
  {
    name: 'soft delete',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      return () => manager.softDelete(Product, { id: product.id });
    },
  },
  {
    name: 'restore',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      await manager.softDelete(Product, { id: product.id });
      return () => manager.restore(Product, { id: product.id });
    },
  },
  {
    name: 'delete, 1 level below it (`ON DELETE CASCADE`)',
    captured: ['cascade', 'path', 'recount'],
    run: async ({ manager }) => {
      const { review } = await catalogue(manager);
      return () => manager.delete(Review, { id: review.id });
    },
  },
  {
    name: 'delete, 2 levels below it (`ON DELETE CASCADE`)',
    captured: ['cascade', 'path', 'recount'],
    run: async ({ manager }) => {
      const { product } = await catalogue(manager);
      return () => manager.delete(Product, { id: product.id });
    },
  },
]);
