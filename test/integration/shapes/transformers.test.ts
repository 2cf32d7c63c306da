import {
  Column,
  Entity,
  type EntityManager,
  In,
  JoinColumn,
  ManyToOne,
  Not,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  type ValueTransformer,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

/** TypeORM transforms NULL as well. */
const transformer = <Entity, Stored>(
  to: (value: Entity) => Stored,
  from: (value: Stored) => Entity,
): ValueTransformer => ({
  to: (value: Entity | null | undefined) => (value === null || value === undefined ? value : to(value)),
  from: (value: Stored | null | undefined) => (value === null || value === undefined ? value : from(value)),
});

const prefixed = transformer(
  (id: string) => Number(id.replace('shop_', '')),
  (id: number) => `shop_${id}`,
);
const reverse = (text: string): string => text.split('').toReversed().join('');
const reversed = transformer(reverse, reverse);
const cents = transformer(
  (euros: number) => Math.round(euros * 100),
  (stored: number) => stored / 100,
);
const yesNo = transformer(
  (flag: boolean) => (flag ? 'Y' : 'N'),
  (text: string) => text === 'Y',
);
const toNumber = transformer((value: number) => String(value), Number);

@Entity()
class Shop {
  @PrimaryColumn({ type: 'int', transformer: prefixed }) id!: string;
  @Column({ type: 'bigint', default: 0, transformer: toNumber }) salesCount!: number;
  @Column({ type: 'numeric', precision: 12, scale: 2, default: 0, transformer: toNumber }) centsSum!: number;
  @Column({ default: 0 }) paidCount!: number;
  @Column({ default: 0 }) largeCount!: number;
}

@Entity()
class Customer {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar', unique: true, transformer: reversed }) email!: string;
  @Column({ default: 0 }) salesCount!: number;
}

@Entity()
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'salesCount' })
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'centsSum', incrementBy: 'price' })
@CounterCache<Sale, Shop>({
  relation: 'shop',
  column: 'paidCount',
  where: { paid: true, state: Not(In(['void', 'lost'])) },
})
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'largeCount', if: ({ price, paid }) => price > 1.5 && paid })
@CounterCache<Sale, Customer>({ relation: 'customer', column: 'salesCount' })
class Sale {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'int', nullable: true, transformer: prefixed }) shopId!: string | null;
  @ManyToOne(() => Shop) @JoinColumn({ name: 'shopId' }) shop!: Relation<Shop> | null;
  @Column({ type: 'varchar', nullable: true, transformer: reversed }) customerEmail!: string | null;
  @ManyToOne(() => Customer)
  @JoinColumn({ name: 'customerEmail', referencedColumnName: 'email' })
  customer!: Relation<Customer> | null;
  @Column({ type: 'int', transformer: cents, default: 100 }) price!: number;
  @Column({ type: 'char', length: 1, transformer: yesNo, default: 'N' }) paid!: boolean;
  @Column({ type: 'varchar', transformer: [reversed], default: 'wen' }) state!: string;
}

@Entity()
class Club {
  @PrimaryColumn({ type: 'varchar', transformer: reversed }) code!: string;
  @Column({ default: 0 }) visitsCount!: number;

  async countVisits(manager: EntityManager): Promise<number> {
    return manager.countBy(Visit, { clubCode: this.code });
  }
}

@Entity()
@CounterCache<Visit, Club>({ relation: 'club', column: 'visitsCount', method: 'countVisits' })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar', transformer: reversed }) clubCode!: string;
  @ManyToOne(() => Club) @JoinColumn({ name: 'clubCode' }) club!: Relation<Club>;
}

const SALES = 'FROM sale s WHERE s."shopId" = t.id';
const SHOPS: Truth = {
  table: 'shop',
  columns: {
    '"salesCount"': `(SELECT count(*) ${SALES})`,
    '"centsSum"': `(SELECT COALESCE(sum(s.price), 0)::numeric(12, 2) ${SALES})`,
    '"paidCount"': `(SELECT count(*) ${SALES} AND s.paid = 'Y' AND s.state NOT IN ('diov', 'tsol'))`,
    '"largeCount"': `(SELECT count(*) ${SALES} AND s.price > 150 AND s.paid = 'Y')`,
  },
};
const CUSTOMERS: Truth = {
  table: 'customer',
  columns: { '"salesCount"': '(SELECT count(*) FROM sale s WHERE s."customerEmail" = t.email)' },
};
const CLUBS: Truth = {
  table: 'club',
  columns: { '"visitsCount"': '(SELECT count(*) FROM visit v WHERE v."clubCode" = t.code)' },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Shop, Customer, Sale, Club, Visit] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('column transformers, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Sale, Shop, Customer, Visit, Club]);
    await manager().insert(Shop, [{ id: 'shop_1' }, { id: 'shop_2' }]);
    await manager().insert(Customer, [{ email: 'ann@x' }, { email: 'bob@y' }]);
  });
  afterEach(() => expectAgreed(fixture));

  test('on keys, amounts, conditions and counters', async () => {
    await expectEveryWrite<string>(fixture, {
      source: Sale,
      targets: ['shop_1', 'shop_2'],
      values: (shopId, row) => ({ shopId, price: row / 4, paid: row % 2 === 1, state: row === 3 ? 'void' : 'new' }),
      truths: [SHOPS],
    });
  });

  test('on a referenced column that is not the primary key', async () => {
    const [ann, bob] = await manager().find(Customer, { order: { id: 'ASC' } });
    if (ann === undefined || bob === undefined) throw new Error('no customers');
    await expectEveryWrite<Customer>(fixture, {
      source: Sale,
      targets: [ann, bob],
      values: (customer) => ({ customerEmail: customer?.email ?? null }),
      truths: [CUSTOMERS],
    });
  });

  test('through relations', async () => {
    const [one, two] = await manager().find(Shop, { order: { id: 'ASC' } });
    if (one === undefined || two === undefined) throw new Error('no shops');
    const sale = await manager().save(manager().create(Sale, { shop: one, price: 9.99, paid: true }));
    await manager().insert(Sale, [{ shop: one }, { shop: two, price: 0.07 }]);
    await expectRight(fixture, [SHOPS]);
    await manager().save(Object.assign(await manager().findOneByOrFail(Sale, { id: sale.id }), { shop: two }));
    await manager().update(Sale, { shop: { id: 'shop_1' } }, { shop: two, price: 1 });
    await expectRight(fixture, [SHOPS]);
    expect(await manager().findOneByOrFail(Shop, { id: 'shop_2' })).toMatchObject({
      salesCount: 3,
      centsSum: 1106,
      largeCount: 1,
    });
    await expectMended(fixture, [SHOPS]);
  });

  test('conditions and amounts change alone', async () => {
    await manager().insert(Sale, [
      { shopId: 'shop_1', price: 2, paid: true },
      { shopId: 'shop_1', price: 3, paid: true, state: 'void' },
      { shopId: 'shop_1', price: 4, paid: false },
    ]);
    await manager().update(Sale, { state: 'void' }, { state: 'back' });
    await expectRight(fixture, [SHOPS]);
    await manager().update(Sale, { paid: false }, { paid: true, price: 0.01 });
    await expectRight(fixture, [SHOPS]);
    await manager().update(Sale, { price: In([2, 3]) }, { price: () => 'price + 1', state: 'lost' });
    await expectRight(fixture, [SHOPS]);
  });

  test('a recount by a method of the target', async () => {
    await manager().insert(Club, [{ code: 'red' }, { code: 'green' }]);
    await manager().insert(
      Visit,
      ['red', 'red', 'green'].map((clubCode) => ({ clubCode })),
    );
    await expectMended(fixture, [CLUBS]);
  });
});
