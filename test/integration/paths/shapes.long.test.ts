import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { untilIdle } from '../idle';
import { type Internals, openInternals } from '../internals';

@Entity()
class Country {
  @PrimaryColumn() code!: string;
  @Column({ default: 0 }) viewsCount!: number;
  @Column({ default: 0 }) ordersCount!: number;
}

/** Reached from its user: the foreign key is here. */
@Entity()
class Profile {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @OneToOne(() => User, (user) => user.profile, { onDelete: 'CASCADE' }) @JoinColumn() user!: Relation<User>;
  @ManyToOne(() => Country) country!: Relation<Country> | null;
}

class Origin {
  @ManyToOne(() => Country, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'homecode' })
  country!: Relation<Country> | null;
}

@Entity()
class User {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @OneToOne(() => Profile, (profile) => profile.user) profile!: Relation<Profile>;
  @Column(() => Origin) origin!: Origin;
}

/** Two columns make up its key, and the database knows of no foreign key to it. */
@Entity()
class Shop {
  @PrimaryColumn() chain!: number;
  @PrimaryColumn() number!: number;
  @ManyToOne(() => Country) country!: Relation<Country> | null;
}

@Entity()
@CounterCache<Order, Country>({ relation: 'shop.country', column: 'ordersCount' })
class Order {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop, { createForeignKeyConstraints: false }) shop!: Relation<Shop> | null;
}

@Entity()
@CounterCache<View, Country>({
  polymorphic: {
    id: 'subjectId',
    type: 'subjectType',
    targets: () => ({ User, Country, Visitor: User }),
    path: { User: 'profile.country', Visitor: 'origin.country' },
  },
  column: 'viewsCount',
})
class View {
  @PrimaryGeneratedColumn() id!: number;
  @Column() subjectType!: string;
  @Column() subjectId!: string;
}

@Entity()
@CounterCache<Place, Place>({ relation: 'parent.parent', column: 'grandchildrenCount' })
class Place {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) grandchildrenCount!: number;
  @ManyToOne(() => Place, { onDelete: 'SET NULL' }) parent!: Relation<Place> | null;
}

const WRONG = `
  SELECT 'views' AS what, c.code, c."viewsCount" AS got, t.n AS right FROM country c, LATERAL (SELECT
    (SELECT count(*) FROM view v JOIN "user" u ON u.id::text = v."subjectId" JOIN profile p ON p."userId" = u.id
      WHERE v."subjectType" = 'User' AND p."countryCode" = c.code)
    + (SELECT count(*) FROM view v JOIN "user" u ON u.id::text = v."subjectId"
      WHERE v."subjectType" = 'Visitor' AND u."originHomecode" = c.code)
    + (SELECT count(*) FROM view v WHERE v."subjectType" = 'Country' AND v."subjectId" = c.code) AS n) t WHERE c."viewsCount" <> t.n
  UNION ALL SELECT 'orders', c.code, c."ordersCount", t.n FROM country c, LATERAL (SELECT count(*) AS n FROM "order" o
    JOIN shop s ON s.chain = o."shopChain" AND s.number = o."shopNumber" WHERE s."countryCode" = c.code) t WHERE c."ordersCount" <> t.n
  UNION ALL SELECT 'places', p.id::text, p."grandchildrenCount", t.n FROM place p, LATERAL (SELECT count(*) AS n FROM place a
    JOIN place b ON b.id = a."parentId" WHERE b."parentId" = p.id) t WHERE p."grandchildrenCount" <> t.n`;

let fixture: Fixture;
let internals: Internals;

beforeAll(async () => {
  fixture = await setup({ entities: [Country, Profile, User, Shop, Order, View, Place], worker: true });
  internals = await openInternals(fixture.dataSource);
  await fixture.dataSource.manager.insert(Country, [{ code: 'a,b' }, { code: 'fr' }]);
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

async function expectExact(): Promise<void> {
  await untilIdle(fixture, internals);
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

const country = (code: string): Country => Object.assign(new Country(), { code });

test('a polymorphic first step, a one-to-one relation from its other side, a relation of an embedded class', async () => {
  const { manager } = fixture.dataSource;
  const user = await manager.save(manager.create(User, { origin: { country: country('fr') } }));
  await manager.insert(View, [
    { subjectType: 'User', subjectId: user.id },
    { subjectType: 'Visitor', subjectId: user.id },
    { subjectType: 'Visitor', subjectId: user.id.toUpperCase() },
    { subjectType: 'User', subjectId: 'nobody' },
    { subjectType: 'Country', subjectId: 'a,b' },
  ]);
  await expectExact();
  expect(await manager.find(Country, { order: { code: 'ASC' } })).toMatchObject([{ viewsCount: 1 }, { viewsCount: 1 }]);
  const profile = await manager.save(manager.create(Profile, { user, country: country('a,b') }));
  await expectExact();
  await manager.insert(View, { subjectType: 'User', subjectId: user.id });
  await fixture.counters.flush();
  expect(await manager.findOneBy(Country, { code: 'a,b' })).toMatchObject({ viewsCount: 3 });
  const other = await manager.save(manager.create(User, {}));
  await manager.update(Profile, profile.id, { user: other });
  await expectExact();
  await manager.update(View, { subjectType: 'User' }, { subjectId: other.id });
  await expectExact();
  await manager.update(User, user.id, { origin: { country: country('a,b') } });
  await expectExact();
  await manager.delete(User, other.id);
  await expectExact();
});

test('intermediate rows whose key has several columns, without a foreign key of the database', async () => {
  const { manager } = fixture.dataSource;
  const shop = { chain: 1, number: 7 };
  await manager.insert(Order, [{ shop }, { shop }, { shop: { chain: 1, number: 8 } }]);
  await manager.insert(Shop, { ...shop, country: country('fr') });
  await expectExact();
  expect(await manager.findOneBy(Country, { code: 'fr' })).toMatchObject({ ordersCount: 2 });
  await manager.update(Shop, shop, { number: 8 });
  await expectExact();
  await manager.upsert(Shop, { chain: 1, number: 7, country: country('a,b') }, ['chain', 'number']);
  await expectExact();
  await manager.delete(Shop, { chain: 1 });
  await expectExact();
});

test('a table that is source, row between and target at once', async () => {
  const { manager } = fixture.dataSource;
  const places: Place[] = [];
  for (let i = 0; i < 6; i++)
    places.push(await manager.save(manager.create(Place, { parent: places[Math.floor((i - 1) / 2)] ?? null })));
  await expectExact();
  expect(await manager.findOneBy(Place, { id: places[0]?.id ?? 0 })).toMatchObject({ grandchildrenCount: 3 });
  await manager.update(Place, [places[1]?.id ?? 0, places[3]?.id ?? 0], { parent: places[2] as Place });
  await expectExact();
  await manager.update(Place, places[3]?.id ?? 0, { parent: places[4] as Place });
  await expectExact();
  await manager.delete(Place, places[2]?.id ?? 0);
  await expectExact();
});
