import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { Category, Product, Review, SHOP, WRONG } from './shop';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await setup({ entities: SHOP, worker: true });
});
afterEach(() => fixture.close());

async function isQuiet(): Promise<boolean> {
  const { dirty, batches, recalculations } = await fixture.counters.status();
  return dirty + batches + recalculations === 0;
}

test.each(['nowhere', 'elsewhere'])(
  'a path that led %s in the snapshot of a transaction, and was moved before it wrote',
  async (led) => {
    const { dataSource } = fixture;
    const { manager } = dataSource;
    const [now, before] = [await manager.save(new Category()), await manager.save(new Category())];
    const product = await manager.save(Product, { category: led === 'nowhere' ? null : before });
    await until(isQuiet);
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction('REPEATABLE READ');
    // It has a snapshot, and no id yet: no repair waits for it.
    await runner.query('SELECT count(*) FROM product');
    await manager.update(Product, { id: product.id }, { categoryId: now.id });
    await until(isQuiet);
    await runner.manager.insert(Review, { product });
    await runner.commitTransaction();
    await runner.release();
    await until(async () => (await manager.findOneByOrFail(Category, { id: now.id })).reviewsCount === 1);
    await until(isQuiet);
    expect(await dataSource.query(WRONG)).toEqual([]);
  },
);

test('a table of the path that the transaction has locked itself: COMMIT is refused, and does not wait for ever', async () => {
  const { dataSource } = fixture;
  const { manager } = dataSource;
  const category = await manager.save(new Category());
  const product = await manager.save(Product, { category });
  const locked = manager.transaction('REPEATABLE READ', async (own) => {
    await own.query('LOCK TABLE product');
    await own.insert(Review, { product });
  });
  const error: unknown = await locked.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'WRITE_FAILED' });
  expect(String(error)).toMatch(/no answer within 10000 ms.* write in READ COMMITTED/);
  expect(await manager.count(Review)).toBe(0);
});
