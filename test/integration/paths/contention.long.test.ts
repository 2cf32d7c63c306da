import { type EntityManager, QueryFailedError } from 'typeorm';

import { Random } from '../../contract/buffer/random';
import { keysOf } from '../../support/redis';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { innerName, type Internals, openInternals } from '../internals';
import { untilIdle } from '../idle';
import { Category, Comment, Product, Review, SHOP, WRONG } from './shop';

let fixture: Fixture;
let internals: Internals;

async function expectExactOnceIdle(): Promise<void> {
  await untilIdle(fixture, internals);
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
}

/** When the recalculation of a category is due; `null` when none is requested. */
async function requestedAt(id: number): Promise<string | null> {
  const { redis, installation } = internals;
  const keys = await keysOf(redis, `{cc:${installation}:*}:*:recalc`);
  const scores = await Promise.all(
    keys.map(async (key) => {
      const name = await innerName(redis, key.replace(/recalc$/, 'tables'), `category:id:${id}`);
      return name === null ? null : redis.zscore(key, name);
    }),
  );
  return scores.find((score) => score !== null) ?? null;
}

async function seed(): Promise<{ from: Category; to: Category; product: Product; review: Review }> {
  const { manager } = fixture.dataSource;
  const [from, to] = (await manager.save([manager.create(Category), manager.create(Category)])) as [Category, Category];
  const product = await manager.save(manager.create(Product, { category: from, categoryId: from.id }));
  const review = await manager.save(manager.create(Review, { product }));
  return { from, to, product, review };
}

describe.each(['buffered', 'outbox'] as const)('%s: a row between moves while sources come and go below it', (mode) => {
  beforeAll(async () => {
    fixture = await setup({ entities: SHOP, worker: true, counters: { mode } });
    internals = await openInternals(fixture.dataSource);
  });
  afterEach(() => expect(fixture.errors).toEqual([]));
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  test('a source inserted before the move is over, and committed after it', async () => {
    const { from, to, product, review } = await seed();
    const { manager } = fixture.dataSource;
    await manager.transaction(async (slow) => {
      await slow.insert(Comment, { review });
      await manager.update(Product, product.id, { categoryId: to.id });
      await fixture.counters.settled();
      // A worker has tried to recount, and may not: what this transaction adds cannot be seen yet.
      for (const { id } of [from, to]) {
        const first = await until(() => requestedAt(id));
        await until(async () => (await requestedAt(id)) !== first);
        expect(await requestedAt(id)).not.toBeNull();
      }
      await slow.insert(Comment, { review });
    });
    await expectExactOnceIdle();
    expect(await manager.findOneBy(Category, { id: to.id })).toMatchObject({ commentsCount: 2 });
  });

  test('a source that reads the row before the move commits, in a transaction begun after it', async () => {
    const { to, product, review } = await seed();
    const { manager } = fixture.dataSource;
    const late = fixture.dataSource.createQueryRunner();
    await manager.transaction(async (mover) => {
      await mover.update(Product, product.id, { categoryId: to.id });
      await late.startTransaction();
      await late.manager.insert(Comment, { review });
    });
    await fixture.counters.settled();
    await late.commitTransaction();
    await late.release();
    await expectExactOnceIdle();
    expect(await manager.findOneBy(Category, { id: to.id })).toMatchObject({ commentsCount: 1 });
  });

  test('a source inserted into a snapshot that cannot see the move', async () => {
    const { to, product, review } = await seed();
    const { manager } = fixture.dataSource;
    const insert = (meanwhile: () => Promise<unknown>): Promise<unknown> =>
      manager.transaction('REPEATABLE READ', async (own) => {
        await own.findOneBy(Category, { id: to.id });
        await meanwhile();
        await own.insert(Comment, { review });
      });
    const move = async (): Promise<void> => {
      await manager.update(Product, product.id, { categoryId: to.id });
      await expectExactOnceIdle();
    };
    await insert(move);
    await expectExactOnceIdle();
    expect(await manager.findOneBy(Category, { id: to.id })).toMatchObject({ commentsCount: 1 });
  });

  test.each([1, 2, 3, 4])('eight clients at random, seed %i', async (seedOf) => {
    const { manager } = fixture.dataSource;
    const categories = await manager.save([1, 2, 3].map(() => manager.create(Category)));
    const products = await manager.save(
      [0, 1, 2, 3].map((i) => manager.create(Product, { categoryId: categories[i % 3]?.id ?? null })),
    );
    const reviews = await manager.save(
      [0, 1, 2, 3, 4, 5].map((i) => manager.create(Review, { product: products[i % 4] ?? null })),
    );
    const client = async (number: number): Promise<void> => {
      const random = new Random(seedOf * 100 + number);
      const pick = <T>(of: readonly T[]): T => random.pick(of);
      const writes: ((own: EntityManager) => Promise<unknown>)[] = [
        (own) => own.insert(Comment, { review: { id: pick(reviews).id }, text: pick(['a', 'b'.repeat(20)]) }),
        (own) => own.insert(Comment, { review: { id: pick(reviews).id }, approved: random.chance(0.5) }),
        (own) => own.update(Comment, { approved: false, review: { id: pick(reviews).id } }, { approved: true }),
        (own) => own.update(Comment, { review: { id: pick(reviews).id } }, { review: { id: pick(reviews).id } }),
        (own) => own.delete(Comment, { approved: true, review: { id: pick(reviews).id } }),
        (own) => own.update(Review, pick(reviews).id, { product: { id: pick(products).id } }),
        (own) => own.update(Review, pick(reviews).id, { visible: random.chance(0.5) }),
        (own) => own.softDelete(Review, pick(reviews).id),
        (own) => own.restore(Review, pick(reviews).id),
        (own) =>
          own.update(Product, pick(products).id, { categoryId: pick([...categories.map(({ id }) => id), null]) }),
        (own) => own.update(Product, pick(products).id, { published: random.chance(0.5) }),
        (own) => own.softDelete(Product, pick(products).id),
        (own) => own.restore(Product, pick(products).id),
      ];
      for (let i = 0; i < 40; i++) {
        const isolation = pick(['READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ'] as const);
        const count = 1 + random.below(4);
        const work = manager.transaction(isolation, async (own) => {
          for (let at = 0; at < count; at++) await pick(writes)(own);
          if (random.chance(0.15)) throw new Error('rolled back');
        });
        await work.catch(expectConflict);
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(client));
    await expectExactOnceIdle();
  });
});

/** Rolled back by the client, or a deadlock or serialization failure. */
function expectConflict(error: unknown): void {
  if (error instanceof Error && error.message === 'rolled back') return;
  const code = error instanceof QueryFailedError ? (error.driverError as { code?: string }).code : error;
  expect(['40P01', '40001']).toContain(code);
}
