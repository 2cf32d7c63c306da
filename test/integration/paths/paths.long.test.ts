import { type Fixture, setup } from '../../support/setup';
import { type Internals, openInternals } from '../internals';
import { untilIdle } from '../idle';
import { Category, Comment, Product, Review, SHOP, WRONG } from './shop';

let fixture: Fixture;
let internals: Internals;

describe.each(['18', '17.0'])('a path of three steps, PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: SHOP });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
    internals = await openInternals(fixture.dataSource);
  });
  afterEach(() => expect(fixture.errors).toEqual([]));
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  /** By deltas alone: nothing was recounted. */
  async function expectExact(): Promise<void> {
    await fixture.counters.flush();
    expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  }

  async function expectExactOnceIdle(): Promise<void> {
    const worker = await fixture.counters.startWorker();
    await untilIdle(fixture, internals);
    await worker.close();
    expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  }

  async function seed(): Promise<{
    categories: [Category, Category];
    products: [Product, Product];
    reviews: [Review, Review];
  }> {
    const { manager } = fixture.dataSource;
    const categories = await manager.save([manager.create(Category), manager.create(Category)]);
    const products = await manager.save(
      categories.map((category) => manager.create(Product, { category, categoryId: category.id })),
    );
    const reviews = await manager.save(products.map((product) => manager.create(Review, { product, stars: '4.5' })));
    await manager.save(
      reviews.flatMap((review) =>
        ['short', 'quite a long text'].map((text) => manager.create(Comment, { review, text })),
      ),
    );
    await expectExact();
    return { categories, products, reviews } as Awaited<ReturnType<typeof seed>>;
  }

  test('sources inserted, changed, moved and deleted count by deltas', async () => {
    const { manager } = fixture.dataSource;
    const { reviews, products, categories } = await seed();
    expect(await manager.findOneBy(Category, { id: categories[0].id })).toMatchObject({
      commentsCount: 2,
      visibleCount: 2,
      longCount: 1,
      reviewsCount: 1,
      stars: '4.50',
    });
    const comment = await manager.save(manager.create(Comment, { review: reviews[0], text: 'some more to read' }));
    comment.approved = false;
    await manager.save(comment);
    await expectExact();
    comment.review = reviews[1];
    await manager.save(comment);
    await expectExact();
    await manager.update(Comment, { review: { id: reviews[0].id } }, { text: 'all of them become long' });
    await manager.upsert(Comment, { id: comment.id, approved: true, review: { id: reviews[0].id } }, ['id']);
    await expectExact();
    await manager.delete(Comment, comment.id);
    await manager.insert(Review, { product: { id: products[1].id }, stars: '1.5' });
    await expectExact();
  });

  test.each<[string, (of: Awaited<ReturnType<typeof seed>>) => Promise<unknown>]>([
    [
      'moves',
      ({ products, categories }) =>
        fixture.dataSource.manager.update(Product, products[0].id, { categoryId: categories[1].id }),
    ],
    ['is nulled', ({ products }) => fixture.dataSource.manager.update(Product, products[0].id, { categoryId: null })],
    ['is soft-deleted', ({ products }) => fixture.dataSource.manager.softDelete(Product, products[0].id)],
    [
      'is soft-deleted and restored',
      async ({ products }) => {
        await fixture.dataSource.manager.softDelete(Product, products[0].id);
        await fixture.dataSource.manager.restore(Product, products[0].id);
      },
    ],
    [
      'leaves the condition',
      ({ products }) => fixture.dataSource.manager.update(Product, products[0].id, { published: false }),
    ],
    ['is deleted', ({ products }) => fixture.dataSource.manager.delete(Product, products[0].id)],
    [
      '(the first) moves',
      ({ reviews, products }) => fixture.dataSource.manager.save(Review, { id: reviews[0].id, product: products[1] }),
    ],
    [
      '(the first) is nulled',
      ({ reviews }) => fixture.dataSource.manager.update(Review, reviews[0].id, { product: null }),
    ],
    ['(the first) is soft-removed', ({ reviews }) => fixture.dataSource.manager.softRemove(reviews[0])],
    [
      '(the first) leaves the condition',
      ({ reviews }) => fixture.dataSource.manager.update(Review, reviews[0].id, { visible: false }),
    ],
    ['loses its target', ({ categories }) => fixture.dataSource.manager.delete(Category, categories[0].id)],
    [
      'moves twice, with the row before it, and back',
      async ({ products, reviews, categories }) =>
        fixture.dataSource.transaction(async (manager) => {
          await manager.update(Product, products[0].id, { categoryId: categories[1].id });
          await manager.update(Review, reviews[0].id, { product: { id: products[1].id } });
          await manager.insert(Comment, { review: { id: reviews[0].id }, text: 'in the middle of it' });
          await manager.update(Product, products[0].id, { categoryId: categories[0].id });
        }),
    ],
  ])('a row between that %s moves what hangs below it', async (_, write) => {
    await write(await seed());
    await expectExactOnceIdle();
  });

  test('nothing of a rolled-back move is asked for; irrelevant changes of intermediate rows ask for nothing', async () => {
    const { products, categories } = await seed();
    await fixture.counters.flush();
    const requested: unknown[] = [];
    fixture.counters.on('recalculated', (event) => requested.push(event));
    await fixture.dataSource
      .transaction(async (manager) => {
        await manager.update(Product, products[0].id, { categoryId: categories[1].id });
        throw new Error('no');
      })
      .catch(() => undefined);
    await fixture.dataSource.manager.update(Product, products[0].id, { name: 'other' });
    await fixture.dataSource.manager.update(Product, products[0].id, { categoryId: categories[0].id });
    await expectExactOnceIdle();
    expect(requested).toEqual([]);
  });

  test('recalculation agrees with live writes, and mends', async () => {
    const { categories } = await seed();
    expect(await fixture.counters.verify({ target: Category })).toMatchObject({ fixedCount: 0 });
    await fixture.dataSource.query(
      'UPDATE category SET "commentsCount" = 99, stars = 1, "longCount" = 7 WHERE id = $1',
      [categories[0].id],
    );
    expect(await fixture.counters.recalculate({ target: Category })).toMatchObject({ fixedCount: 3 });
    await expectExact();
  });
});
