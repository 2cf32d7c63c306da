import { Column, Entity, type EntityManager, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { AmountError, CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement } from './agreement';

@Entity()
class Cart {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) total!: number;
}

const AMOUNTS: Readonly<Record<string, () => unknown>> = {
  NaN: () => Number.NaN,
  text: () => '5',
  fraction: () => 0.5,
  throws: () => {
    throw new Error('no price');
  },
  promise: () => Promise.resolve(1),
};

@Entity()
@CounterCache<Line, Cart>({
  relation: 'cart',
  column: 'total',
  incrementBy: ({ kind }) => (AMOUNTS[kind]?.() ?? 1) as number,
})
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) kind!: string;
  @ManyToOne(() => Cart) cart!: Relation<Cart>;
}

const TRUTH = `SELECT c.id, ARRAY[total]::text[] AS got, ARRAY[(SELECT count(*) FROM line l WHERE l."cartId" = c.id)]::text[] AS right
  FROM cart c ORDER BY c.id`;

let fixture: Fixture;
let cart: Cart;

beforeAll(async () => {
  fixture = await setup({ entities: [Cart, Line] });
});
beforeEach(async () => {
  cart = await fixture.dataSource.manager.save(fixture.dataSource.manager.create(Cart));
});
afterEach(async () => {
  await expectAgreement(fixture, TRUTH);
  expect(fixture.errors).toEqual([]);
});
afterAll(() => fixture.close());

const lines = (): Promise<number> => fixture.dataSource.manager.countBy(Line, { cart: { id: cart.id } });
const good = (manager: EntityManager): Promise<unknown> => manager.insert(Line, { cart });
const swallowed = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => error,
  );

describe.each(Object.keys(AMOUNTS))('incrementBy that returns %s', (kind) => {
  const bad = (manager: EntityManager): Promise<unknown> => manager.insert(Line, { kind, cart });
  const refused = expect.objectContaining({
    code: 'BAD_AMOUNT',
    message: expect.stringContaining('Line.cart → Cart.total') as string,
  }) as unknown;

  test('rejects the write before COMMIT: no row, nothing counted', async () => {
    await expect(bad(fixture.dataSource.manager)).rejects.toEqual(refused);
    await expect(fixture.dataSource.manager.save(Line, { kind, cart })).rejects.toEqual(refused);
    await expect(fixture.dataSource.manager.insert(Line, [{ cart }, { kind, cart }])).rejects.toEqual(refused);
    expect(await lines()).toBe(0);
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, intents: 0 });
  });

  test('an update into it, and one of another row, in one statement', async () => {
    await good(fixture.dataSource.manager);
    await expect(fixture.dataSource.manager.update(Line, { cart: { id: cart.id } }, { kind })).rejects.toEqual(refused);
    expect(await fixture.dataSource.manager.countBy(Line, { kind })).toBe(0);
  });

  test("in a user's transaction that swallows the error, COMMIT is refused with that error", async () => {
    let error: unknown;
    const work = fixture.dataSource.transaction(async (manager) => {
      await good(manager);
      error = await swallowed(bad(manager));
      await good(manager);
    });
    await expect(work).rejects.toEqual(refused);
    await expect(work).rejects.toBe(error);
    expect(await lines()).toBe(0);
  });

  test('a raw COMMIT is refused as well, and ROLLBACK frees the connection', async () => {
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await good(runner.manager);
    const error = await swallowed(bad(runner.manager));
    await expect(runner.query('COMMIT')).rejects.toBe(error);
    await runner.query('ROLLBACK');
    await runner.query('BEGIN');
    await good(runner.manager);
    await runner.query('COMMIT');
    await runner.release();
    expect(await lines()).toBe(1);
  });

  test('rolled back to a savepoint before it, the rest commits and counts', async () => {
    await fixture.dataSource.transaction(async (manager) => {
      await good(manager);
      expect(await swallowed(manager.transaction(bad))).toEqual(refused);
      await manager.query('SAVEPOINT mine');
      await good(manager);
      expect(await swallowed(bad(manager))).toEqual(refused);
      await manager.query('ROLLBACK TO SAVEPOINT mine');
      await good(manager);
    });
    expect(await lines()).toBe(2);
  });
});

test('the error is an AmountError, and names what it got', async () => {
  const error = await swallowed(fixture.dataSource.manager.insert(Line, { kind: 'NaN', cart }));
  expect(error).toBeInstanceOf(AmountError);
  expect((error as Error).message).toContain('NaN');
});

test('raw SQL in counters.track that is refused is undone alone', async () => {
  const { dataSource, counters } = fixture;
  const before = await lines();
  await dataSource.transaction(async (manager) => {
    await good(manager);
    const work = counters.track(manager, Line, { cart: { id: cart.id } }, (own) =>
      own.query(`INSERT INTO line (kind, "cartId") VALUES ('fraction', $1)`, [cart.id]),
    );
    await expect(work).rejects.toThrow(AmountError);
  });
  expect(await lines()).toBe(before + 1);
});
