import {
  Column,
  Entity,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement } from './agreement';

@Entity()
class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) ordersCount!: number;
  @Column({ default: 0 }) visitsCount!: number;
  @Column({ default: 0 }) notesCount!: number;
  @Column({ type: 'timestamptz', nullable: true }) visitedAt!: Date | null;
  @UpdateDateColumn({ type: 'timestamptz' }) updatedAt!: Date;
  @VersionColumn() version!: number;
}

@Entity()
@CounterCache<Order, Shop>({ relation: 'shop', column: 'ordersCount', touch: true })
class Order {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
}

@Entity()
@CounterCache<Visit, Shop>({ relation: 'shop', column: 'visitsCount', touch: 'visitedAt' })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
}

@Entity()
@CounterCache<Note, Shop>({ relation: 'shop', column: 'notesCount' })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
}

const TRUTH = `SELECT s.id, ARRAY[s."ordersCount", s."visitsCount", s."notesCount"]::text[] AS got, ARRAY[
  (SELECT count(*) FROM "order" o WHERE o."shopId" = s.id),
  (SELECT count(*) FROM visit v WHERE v."shopId" = s.id),
  (SELECT count(*) FROM note n WHERE n."shopId" = s.id)]::text[] AS right FROM shop s ORDER BY s.id`;

interface Times {
  readonly id: number;
  readonly visited: string | null;
  readonly updated: string;
  readonly version: number;
}

let fixture: Fixture;
let shop: Shop;

beforeAll(async () => {
  fixture = await setup({ entities: [Shop, Order, Visit, Note] });
});
beforeEach(async () => {
  shop = await fixture.dataSource.manager.save(fixture.dataSource.manager.create(Shop));
});
afterEach(async () => {
  await expectAgreement(fixture, TRUTH);
  expect(fixture.errors).toEqual([]);
});
afterAll(() => fixture.close());

async function times(): Promise<Times> {
  const [row]: Times[] = await fixture.dataSource.query(
    `SELECT id, "visitedAt"::text AS visited, "updatedAt"::text AS updated, version FROM shop WHERE id = $1`,
    [shop.id],
  );
  if (row === undefined) throw new Error('the shop is gone');
  return row;
}

async function flushed(): Promise<Times> {
  await fixture.counters.flush();
  return times();
}

test('I7: without touch neither the update date nor the version moves', async () => {
  const before = await times();
  await fixture.dataSource.manager.insert(Note, { shop });
  expect(await flushed()).toEqual(before);
});

test('true writes the @UpdateDateColumn, and still not the version', async () => {
  const before = await times();
  const start = Date.now();
  await fixture.dataSource.manager.insert(Order, { shop });
  const after = await flushed();
  expect(after).toMatchObject({ visited: null, version: before.version });
  expect(Date.parse(after.updated)).toBeGreaterThanOrEqual(start);
  expect(Date.parse(after.updated)).toBeLessThanOrEqual(Date.now());
});

test('a property is written alone', async () => {
  const before = await times();
  const start = Date.now();
  await fixture.dataSource.manager.insert(Visit, { shop });
  const after = await flushed();
  expect({ ...after, visited: null }).toEqual(before);
  expect(Date.parse(after.visited ?? '')).toBeGreaterThanOrEqual(start);
});

test('a zero of two transactions is touched, a zero of one is not', async () => {
  const { manager } = fixture.dataSource;
  await fixture.dataSource.transaction(async (inside) => inside.remove(Visit, await inside.save(Visit, { shop })));
  expect(await flushed()).toMatchObject({ visited: null });
  await manager.remove(Visit, await manager.save(Visit, { shop }));
  const after = await flushed();
  expect(after.visited).not.toBeNull();
  expect(await manager.findOneByOrFail(Shop, { id: shop.id })).toMatchObject({ visitsCount: 0 });
});

test('a later time that stands is kept', async () => {
  const later = new Date(Date.now() + 3_600_000);
  await fixture.dataSource.manager.update(Shop, { id: shop.id }, { visitedAt: later });
  await fixture.dataSource.manager.insert(Visit, { shop });
  await fixture.counters.flush();
  const after = await fixture.dataSource.manager.findOneByOrFail(Shop, { id: shop.id });
  expect(after).toMatchObject({ visitsCount: 1, visitedAt: later });
});

test('a move touches both, a rolled-back write neither', async () => {
  const { manager } = fixture.dataSource;
  const from = await manager.save(manager.create(Shop));
  const visit = await manager.save(Visit, { shop: from });
  await fixture.counters.flush();
  await manager.update(Shop, { id: from.id }, { visitedAt: null });
  const failed = fixture.dataSource.transaction(async (inside) => {
    await inside.update(Visit, { id: visit.id }, { shop });
    throw new Error('no');
  });
  await expect(failed).rejects.toThrow('no');
  await fixture.counters.flush();
  const ids = [from.id, shop.id];
  const visited = async () =>
    (await Promise.all(ids.map((id) => manager.findOneByOrFail(Shop, { id })))).map(({ visitedAt }) => visitedAt);
  expect(await visited()).toEqual([null, null]);
  await manager.update(Visit, { id: visit.id }, { shop });
  await fixture.counters.flush();
  expect(await visited()).toEqual([expect.any(Date), expect.any(Date)]);
});

test('a recalculation that finds nothing keeps a pending touch', async () => {
  await fixture.dataSource.manager.insert(Visit, { shop });
  await fixture.counters.settled();
  expect(await fixture.counters.recalculate({ target: Shop, ids: [shop.id] })).toMatchObject({ fixedCount: 0 });
  expect((await flushed()).visited).not.toBeNull();
});

test('save(stale parent) after a flush keeps the counters', async () => {
  const { manager } = fixture.dataSource;
  const stale = await manager.findOneByOrFail(Shop, { id: shop.id });
  await manager.insert(Note, { shop });
  await fixture.counters.flush();
  stale.notesCount = 50;
  stale.visitedAt = new Date();
  await manager.save(stale);
  expect(await manager.findOneByOrFail(Shop, { id: shop.id })).toMatchObject({ notesCount: 1 });
});
