import { Column, Entity, type EntityManager, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';

@Entity()
class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) salesCount!: number;
  @Column({ default: 0 }) oddCount!: number;
  @Column({ type: 'bigint', default: 0 }) total!: NumericText;
  @Column({ type: 'numeric', precision: 30, scale: 2, nullable: true, default: 0 }) weight!: NumericText;
  @Column({ default: 0 }) byMethod!: number;

  /** How the method of one shop fails. */
  static fails: { readonly id: number; readonly how: 'throws' | 'aborts' | 'NaN' } | null = null;

  async countSales(manager: EntityManager): Promise<number> {
    if (this.id === Shop.fails?.id) {
      if (Shop.fails.how === 'throws') throw new Error('no idea');
      if (Shop.fails.how === 'NaN') return Number.NaN;
      await manager.query('SELECT 1 / 0');
    }
    return manager.countBy(Sale, { shop: { id: this.id } });
  }
}

@Entity()
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'salesCount' })
@CounterCache<Sale, Shop>({
  relation: 'shop',
  column: 'oddCount',
  if: ({ label }) => {
    if (label === 'legacy') throw new Error('unknown label');
    return label === 'odd';
  },
})
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'total', incrementBy: 'amount' })
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'weight', incrementBy: 'grams' })
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'byMethod', method: 'countSales' })
class Sale {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 'odd' }) label!: string;
  @Column({ type: 'bigint', default: 1 }) amount!: NumericText;
  @Column({ type: 'numeric', precision: 10, scale: 2, default: 1 }) grams!: NumericText;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
}

const SHOPS = 50;

/** Counter columns, the name of the counter of each, and what one good sale makes of it. */
const RIGHT = { salesCount: 1, oddCount: 1, total: '1', weight: '1.00', byMethod: 1 } as const;

interface Case {
  readonly name: string;
  /** The column that cannot be counted. */
  readonly column: keyof typeof RIGHT;
  readonly break: (fixture: Fixture, shop: number) => Promise<unknown> | void;
  readonly mend: (fixture: Fixture, shop: number) => Promise<unknown> | void;
  readonly reason: string;
}

const sql =
  (text: (shop: number) => string): Case['break'] =>
  ({ dataSource }, shop) =>
    dataSource.query(text(shop));

const CASES: readonly Case[] = [
  {
    name: 'an `if` that throws on a legacy row',
    column: 'oddCount',
    break: sql((shop) => `UPDATE sale SET label = 'legacy' WHERE "shopId" = ${shop}`),
    mend: sql((shop) => `UPDATE sale SET label = 'odd' WHERE "shopId" = ${shop}`),
    reason: "Sale.shop → Shop.oddCount: expected 'if' to return, got an exception: unknown label",
  },
  {
    name: 'a sum beyond 64 bits',
    column: 'total',
    break: sql(
      (shop) => `INSERT INTO sale (amount, "shopId") SELECT 9223372036854775807, ${shop} FROM generate_series(1, 2)`,
    ),
    mend: sql((shop) => `DELETE FROM sale WHERE amount > 1 AND "shopId" = ${shop}`),
    reason: 'Sale.shop → Shop.total: expected the sum of its sources to be an amount that fits 64 bits',
  },
  {
    name: 'NaN in a source',
    column: 'weight',
    break: sql((shop) => `UPDATE sale SET grams = 'NaN' WHERE "shopId" = ${shop}`),
    mend: sql((shop) => `UPDATE sale SET grams = 1 WHERE "shopId" = ${shop}`),
    reason: 'Sale.shop → Shop.weight: expected the sum of its sources to be a decimal number',
  },
  {
    name: 'Infinity in a source',
    column: 'weight',
    break: sql(
      (shop) =>
        `ALTER TABLE sale ALTER grams TYPE numeric; UPDATE sale SET grams = 'Infinity' WHERE "shopId" = ${shop}`,
    ),
    mend: sql((shop) => `UPDATE sale SET grams = 1 WHERE "shopId" = ${shop}`),
    reason: 'Sale.shop → Shop.weight: expected the sum of its sources to be a decimal number',
  },
  {
    name: 'NaN in the column',
    column: 'weight',
    break: sql((shop) => `UPDATE shop SET weight = 'NaN' WHERE id = ${shop}`),
    mend: sql((shop) => `UPDATE shop SET weight = 0 WHERE id = ${shop}`),
    reason: 'Shop.weight: expected the column to be a decimal number',
  },
  ...(['throws', 'aborts', 'NaN'] as const).map((how): Case => ({
    name: { throws: 'a method that throws', aborts: 'a method whose SQL fails', NaN: 'a method that returns NaN' }[how],
    column: 'byMethod',
    break: (_, id) => void (Shop.fails = { id, how }),
    mend: () => void (Shop.fails = null),
    reason: 'Sale.shop → Shop.byMethod: expected its recount method to ',
  })),
];

const COUNTERS = {
  salesCount: 'Sale.shop>Shop.salesCount',
  oddCount: 'Sale.shop>Shop.oddCount',
  total: 'Sale.shop>Shop.total',
  weight: 'Sale.shop>Shop.weight',
  byMethod: 'Sale.shop>Shop.byMethod',
} as const;

describeVersions('a counter that cannot be recounted for one target', (server) => {
  let fixture: Fixture;
  let bad: number;

  beforeEach(async () => {
    Shop.fails = null;
    fixture = await setup({
      entities: [Shop, Sale],
      server: server(),
      counters: { shards: 2, wait: 600_000, recalculationDelay: 600_000_000, sweepInterval: 600_000 },
    });
    const { manager } = fixture.dataSource;
    const shops = await manager.save(
      Shop,
      Array.from({ length: SHOPS }, () => manager.create(Shop)),
    );
    bad = shops[20]?.id ?? 0;
    await fixture.dataSource.query(`INSERT INTO sale ("shopId") SELECT id FROM shop`);
  });
  afterEach(async () => {
    Shop.fails = null;
    await fixture.close();
  });

  /** Columns that do not hold what one good sale makes of them. */
  async function wrong(): Promise<string[]> {
    const shops = await fixture.dataSource.manager.find(Shop, { order: { id: 'ASC' } });
    return shops.flatMap((shop) =>
      Object.entries(RIGHT).flatMap(([column, right]) =>
        shop[column as keyof typeof RIGHT] === right ? [] : [`${shop.id}.${column}`],
      ),
    );
  }

  test.each(CASES)('$name: recalculate and verify name it, and all others are right', async (kind) => {
    await kind.break(fixture, bad);
    const failed = { entity: 'Shop', id: String(bad), reason: expect.stringContaining(kind.reason) as string };
    const named = expect.objectContaining({
      ...failed,
      counter: expect.stringContaining(COUNTERS[kind.column]) as string,
    }) as unknown;
    const before = await fixture.counters.verify();
    expect(before.failed).toEqual([named]);
    expect(before.checked).toBe(SHOPS - 1);
    const others = Object.keys(RIGHT).filter((column) => column !== kind.column);
    expect(before.fixed.filter(({ id }) => id === String(bad)).map(({ column }) => column)).toEqual(others);
    const report = await fixture.counters.recalculate();
    expect(report.failed).toEqual([named]);
    expect(report.unsettled).toEqual([]);
    const left = (await wrong()).filter((column) => !column.startsWith(`${bad}.`));
    expect(left).toEqual([]);
    await kind.mend(fixture, bad);
    expect((await fixture.counters.recalculate()).failed).toEqual([]);
    expect(await wrong()).toEqual([]);
    expect(await fixture.counters.verify()).toMatchObject({ checked: SHOPS, fixedCount: 0, failed: [] });
    expect(fixture.errors).toEqual([]);
  });
});

describe('a scheduled recount', () => {
  test('goes on beside what cannot be counted, and names it', async () => {
    const fixture = await setup({
      entities: [Shop, Sale],
      counters: { shards: 1, recalculationDelay: 50 },
      worker: true,
    });
    const failed: unknown[] = [];
    fixture.counters.on('failed', (event) => failed.push(event));
    const { manager } = fixture.dataSource;
    const shops = await manager.save(manager.create(Shop, [{}, {}, {}]));
    const bad = shops[1]?.id ?? 0;
    Shop.fails = { id: bad, how: 'aborts' };
    await fixture.dataSource.query('UPDATE shop SET "oddCount" = 50, "byMethod" = 50');
    await manager.insert(
      Sale,
      shops.map((shop) => ({ shop })),
    );
    await until(async () => (await manager.countBy(Shop, { oddCount: 1 })) === 3);
    expect(await manager.countBy(Shop, { byMethod: 1 })).toBe(2);
    await until(() => failed.length > 0);
    const named = { entity: 'Shop', id: String(bad), counter: COUNTERS.byMethod };
    expect(failed).toContainEqual(expect.objectContaining(named));
    expect(fixture.errors).toContainEqual(
      expect.objectContaining({ code: 'RECOUNT_FAILED', context: expect.objectContaining(named) as unknown }),
    );
    Shop.fails = null;
    await fixture.counters.recalculate();
    expect(await manager.countBy(Shop, { byMethod: 1 })).toBe(3);
    await fixture.close();
  });
});
