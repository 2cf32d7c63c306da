import { EntitySchema, type EntityTarget, type ObjectLiteral } from 'typeorm';
import { defineCounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

interface RoomRow {
  id: number;
  staysCount: number;
  nightsSum: number;
}

interface StayRow {
  id: number;
  nights: number;
  deletedAt: Date | null;
  room: RoomRow | null;
}

/** Schemas without classes: rows are plain objects. */
const Room = new EntitySchema<RoomRow>({
  name: 'PlainRoom',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    staysCount: { type: 'int', default: 0 },
    nightsSum: { type: 'int', default: 0 },
  },
});
const Stay = new EntitySchema<StayRow>({
  name: 'PlainStay',
  tableName: 'stays of a schema',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    nights: { type: 'int', default: 1, name: 'number_of_nights' },
    deletedAt: { type: 'timestamptz', deleteDate: true },
  },
  relations: {
    room: { type: 'many-to-one', target: 'PlainRoom', nullable: true, joinColumn: { name: 'the_room' } },
  },
});
defineCounterCache<StayRow, RoomRow>(Stay, { relation: 'room', column: 'staysCount', if: ({ nights }) => nights > 2 });
defineCounterCache<StayRow, RoomRow>(Stay, { relation: 'room', column: 'nightsSum', incrementBy: 'nights' });

/** Schemas of classes that know nothing of TypeORM; the counter is declared for the class. */
class Garage {
  id!: number;
  carsCount!: number;
}

class Car {
  id!: number;
  old!: boolean;
  garage!: Garage | null;
  isNew(): boolean {
    return !this.old;
  }
}

const GarageSchema = new EntitySchema<Garage>({
  name: 'Garage',
  target: Garage,
  columns: { id: { type: 'int', primary: true, generated: true }, carsCount: { type: 'int', default: 0 } },
});
const CarSchema = new EntitySchema<Car>({
  name: 'Car',
  target: Car,
  columns: { id: { type: 'int', primary: true, generated: true }, old: { type: 'boolean', default: false } },
  relations: { garage: { type: 'many-to-one', target: 'Garage', nullable: true, onDelete: 'SET NULL' } },
});
defineCounterCache<Car, Garage>(Car, { relation: 'garage', column: 'carsCount', if: (car) => car.isNew() });

/** The same, declared for the schema; key of two columns. */
class Berth {
  pier!: string;
  number!: number;
  boatsCount!: number;
}

class Boat {
  id!: number;
  berth!: Berth | null;
}

const BerthSchema = new EntitySchema<Berth>({
  name: 'Berth',
  target: Berth,
  columns: {
    pier: { type: 'varchar', primary: true },
    number: { type: 'int', primary: true },
    boatsCount: { type: 'bigint', default: 0 },
  },
});
const BoatSchema = new EntitySchema<Boat>({
  name: 'Boat',
  target: Boat,
  columns: { id: { type: 'int', primary: true, generated: true } },
  relations: {
    berth: {
      type: 'many-to-one',
      target: 'Berth',
      nullable: true,
      joinColumn: [
        { name: 'berth_number', referencedColumnName: 'number' },
        { name: 'berth_pier', referencedColumnName: 'pier' },
      ],
    },
  },
});
defineCounterCache<Boat, Berth>(BoatSchema, { relation: 'berth', column: 'boatsCount' });

const STAYS = `FROM "stays of a schema" s WHERE s.the_room = t.id AND s."deletedAt" IS NULL`;
const ROOMS: Truth = {
  table: 'plain_room',
  columns: {
    '"staysCount"': `(SELECT count(*) ${STAYS} AND s.number_of_nights > 2)`,
    '"nightsSum"': `(SELECT COALESCE(sum(s.number_of_nights), 0) ${STAYS})`,
  },
};
const GARAGES: Truth = {
  table: 'garage',
  columns: { '"carsCount"': '(SELECT count(*) FROM car c WHERE c."garageId" = t.id AND NOT c.old)' },
};
const BERTHS: Truth = {
  table: 'berth',
  columns: {
    '"boatsCount"': '(SELECT count(*) FROM boat b WHERE b.berth_pier = t.pier AND b.berth_number = t.number)',
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Room, Stay, GarageSchema, CarSchema, BerthSchema, BoatSchema] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('entity schemas, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Stay, Room, Car, Garage, Boat, Berth]));
  afterEach(() => expectAgreed(fixture));

  async function expectAllOf(
    source: EntityTarget<ObjectLiteral>,
    target: EntityTarget<ObjectLiteral>,
    keys: readonly [object, object],
    values: (target: ObjectLiteral | null, row: number) => object,
    truth: Truth,
  ): Promise<void> {
    const [one = {}, two = {}] = await manager().save(target, [...keys]);
    await expectEveryWrite<ObjectLiteral>(fixture, { source, targets: [one, two], values, truths: [truth] });
  }

  test('without a class, written by name', () =>
    expectAllOf('PlainStay', 'PlainRoom', [{}, {}], (room, row) => ({ room, nights: row }), ROOMS));

  test('with a class, declared for the class, and written through the schema', () =>
    expectAllOf(CarSchema, GarageSchema, [{}, {}], (garage, row) => ({ garage, old: row % 3 === 0 }), GARAGES));

  test('with a class, declared for the schema, and a key of two columns', () =>
    expectAllOf(
      Boat,
      Berth,
      [
        { pier: 'p', number: 1 },
        { pier: 'p,1', number: 1 },
      ],
      (berth) => ({ berth }),
      BERTHS,
    ));

  test('targets are named by schema, class or name alike', async () => {
    const [room] = await manager().save(Room, [{}]);
    const garage = await manager().save(manager().create(Garage));
    if (room === undefined) throw new Error('no room');
    await manager().insert(Stay, { room, nights: 4 });
    await manager().insert(Car, { garage });
    await fixture.counters.settled();
    expect(await fixture.counters.read(Room, room.id, 'nightsSum')).toBe(4);
    expect(await fixture.counters.read('PlainRoom', room.id, 'nightsSum')).toBe(4);
    expect(await fixture.counters.read(GarageSchema, garage.id, 'carsCount')).toBe(1);
    expect(await fixture.counters.flush({ target: Garage, ids: [garage.id] })).toMatchObject({ targets: 1 });
    expect(await fixture.counters.verify({ target: Room })).toMatchObject({ checked: 1, fixedCount: 0 });
    await expectRight(fixture, [ROOMS, GARAGES]);
  });

  test('a target of a schema goes, and its sources stay', async () => {
    const garage = await manager().save(manager().create(Garage));
    await manager().insert(Car, [{ garage }, { garage, old: true }]);
    await manager().delete(GarageSchema, { id: garage.id });
    expect(await manager().countBy(Car, { old: false })).toBe(1);
    const again = await manager().save(manager().create(Garage));
    await manager().update(CarSchema, { old: true }, { garage: again, old: false });
    await expectRight(fixture, [GARAGES]);
  });
});
