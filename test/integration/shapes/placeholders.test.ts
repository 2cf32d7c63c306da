import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache, type TablesMissingError } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

/** Its names hold what libraries replace in SQL: parameters of TypeORM and of the driver, formats, quotes. */
@Entity({ name: 'box :id $1 ?' })
class Box {
  @PrimaryGeneratedColumn({ name: 'id' }) id!: number;
  @Column({ name: 'count of :name', default: 0 }) count!: number;
  @Column({ name: '100 % "sure" ?', default: 0 }) sure!: number;
  @Column({ name: '$1', default: 0 }) dollar!: number;
}

@Entity({ name: 'item %s :name' })
@CounterCache<Item, Box>({ relation: 'box', column: 'count' })
@CounterCache<Item, Box>({ relation: 'box', column: 'sure', incrementBy: 'amount' })
@CounterCache<Item, Box>({ relation: 'box', column: 'dollar', where: { state: ':name' } })
class Item {
  @PrimaryGeneratedColumn({ name: 'id?' }) id!: number;
  @Column({ name: 'amount %d :id', default: 1 }) amount!: number;
  @Column({ name: '":state" = $2', default: ':name' }) state!: string;
  @Column({ name: 'Name', default: '' }) name!: string;
  @DeleteDateColumn({ name: 'deleted :...ids', type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Box) @JoinColumn({ name: 'box :box' }) box!: Relation<Box> | null;
}

/** Made by hand: TypeORM's own `synchronize` stumbles over the quotes. */
const TABLES = `
  CREATE TABLE "box :id $1 ?" (id serial PRIMARY KEY, "count of :name" int NOT NULL DEFAULT 0,
    "100 % ""sure"" ?" int NOT NULL DEFAULT 0, "$1" int NOT NULL DEFAULT 0);
  CREATE TABLE "item %s :name" ("id?" serial PRIMARY KEY, "amount %d :id" int NOT NULL DEFAULT 1,
    """:state"" = $2" text NOT NULL DEFAULT ':name', "Name" text NOT NULL DEFAULT '', "deleted :...ids" timestamptz,
    "box :box" int REFERENCES "box :id $1 ?")`;

const ITEMS = 'FROM "item %s :name" i WHERE i."box :box" = t.id AND i."deleted :...ids" IS NULL';
const BOXES: Truth = {
  table: '"box :id $1 ?"',
  columns: {
    '"count of :name"': `(SELECT count(*) ${ITEMS})`,
    '"100 % ""sure"" ?"': `(SELECT COALESCE(sum(i."amount %d :id"), 0) ${ITEMS})`,
    '"$1"': `(SELECT count(*) ${ITEMS} AND i.""":state"" = $2" = ':name')`,
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Box, Item], dataSource: { synchronize: false } });
  await fixture.dataSource.query(TABLES);
  const missing: unknown = await fixture.counters.status().catch((error: unknown) => error);
  await fixture.dataSource.query((missing as TablesMissingError).sql);
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('names with placeholders in them, PostgreSQL %s', (version) => {
  let one: Box;
  let two: Box;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Item, Box]);
    one = await manager().save(manager().create(Box));
    two = await manager().save(manager().create(Box));
  });
  afterEach(() => expectAgreed(fixture));

  test('in every write', async () => {
    await expectEveryWrite<Box>(fixture, {
      source: Item,
      targets: [one, two],
      values: (box, amount) => ({ box, amount, state: amount % 2 === 0 ? ':name' : '$2' }),
      truths: [BOXES],
    });
  });

  // The statements of the caller name none of the columns that are called alike.
  test('while the caller has parameters of these names: update', async () => {
    const item = await manager().save(manager().create(Item, { box: one, name: 'n' }));
    await manager()
      .createQueryBuilder()
      .update(Item)
      .set({ box: two })
      .where('"Name" = :state', { state: 'n' })
      .execute();
    expect(await manager().countBy(Item, { id: item.id, box: { id: two.id } })).toBe(1);
    await expectRight(fixture, [BOXES]);
  });

  test('while the caller has parameters of these names: delete', async () => {
    await manager().save(manager().create(Item, { box: one, name: 'n' }));
    await manager().createQueryBuilder().delete().from(Item).where('"Name" = :box', { box: 'n' }).execute();
    expect(await manager().count(Item)).toBe(0);
    await expectRight(fixture, [BOXES]);
  });

  test('while the caller has parameters of these names: soft delete and restore', async () => {
    await manager().save(manager().create(Item, { box: one, name: 'n' }));
    await manager().createQueryBuilder().softDelete().from(Item).where('"Name" = :state', { state: 'n' }).execute();
    expect(await manager().count(Item)).toBe(0);
    await expectRight(fixture, [BOXES]);
    await manager().createQueryBuilder().restore().from(Item).where('"Name" = :box', { box: 'n' }).execute();
    expect(await manager().count(Item)).toBe(1);
    await expectRight(fixture, [BOXES]);
  });
});
