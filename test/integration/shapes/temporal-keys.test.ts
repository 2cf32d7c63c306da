import {
  Column,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Sensor {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) readingsCount!: number;
  @Column({ default: 0 }) sum!: number;
}

@Entity()
class Unit {
  @PrimaryColumn() name!: string;
  @Column({ default: 0 }) readingsCount!: number;
  @Column({ default: 0 }) eventsCount!: number;
}

/** Its key has more digits than a Date. */
@Entity()
@CounterCache<Reading, Sensor>({ relation: 'sensor', column: 'readingsCount' })
@CounterCache<Reading, Sensor>({ relation: 'sensor', column: 'sum', incrementBy: 'value' })
@CounterCache<Reading, Unit>({ relation: 'unit', column: 'readingsCount' })
class Reading {
  @PrimaryColumn() channel!: number;
  @PrimaryColumn({ type: 'timestamptz' }) at!: Date;
  @Column({ default: 1 }) value!: number;
  @Column({ default: '' }) label!: string;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Sensor, { onDelete: 'CASCADE' }) sensor!: Relation<Sensor> | null;
  @ManyToOne(() => Unit) unit!: Relation<Unit> | null;
}

@Entity()
class Day {
  @PrimaryColumn({ type: 'date' }) date!: string;
}

@Entity()
class Moment {
  @PrimaryColumn({ type: 'timestamptz' }) at!: Date;
}

@Entity()
class Digest {
  @PrimaryColumn({ type: 'bytea' }) hash!: Buffer;
}

@Entity()
@CounterCache<Event, Unit>({ relation: 'unit', column: 'eventsCount' })
class Event {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Unit) unit!: Relation<Unit>;
  @ManyToOne(() => Day, { onDelete: 'CASCADE' }) day!: Relation<Day> | null;
  @ManyToOne(() => Moment, { onDelete: 'CASCADE' }) moment!: Relation<Moment> | null;
  @ManyToOne(() => Digest, { onDelete: 'CASCADE' }) digest!: Relation<Digest> | null;
}

const SENSORS: Truth = {
  table: 'sensor',
  columns: {
    '"readingsCount"': '(SELECT count(*) FROM reading r WHERE r."sensorId" = t.id AND r."deletedAt" IS NULL)',
    sum: '(SELECT COALESCE(sum(r.value), 0) FROM reading r WHERE r."sensorId" = t.id AND r."deletedAt" IS NULL)',
  },
};
const UNITS: Truth = {
  table: 'unit',
  columns: {
    '"readingsCount"': '(SELECT count(*) FROM reading r WHERE r."unitName" = t.name AND r."deletedAt" IS NULL)',
  },
};
const EVENTS: Truth = {
  table: 'unit',
  columns: { '"eventsCount"': '(SELECT count(*) FROM event e WHERE e."unitName" = t.name)' },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Sensor, Unit, Reading, Day, Moment, Digest, Event] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('keys of dates, times and bytes, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Reading, Sensor, Event, Unit, Day, Moment, Digest]));
  afterEach(() => expectAgreed(fixture));

  /** Rows of a second, apart by milliseconds and by a microsecond. */
  async function insertReadings(sensor: Sensor): Promise<void> {
    const unit = { name: 'km/h' };
    await manager().upsert(Unit, unit, ['name']);
    const times = ['00.001', '00.002', '00.002001', '00.5'].map((seconds) => `'2026-03-29 01:30:${seconds}+00'`);
    await manager()
      .createQueryBuilder()
      .insert()
      .into(Reading)
      .values(times.map((at, i) => ({ channel: 1, at: () => at, value: 10 ** i, sensor, unit })))
      .execute();
  }

  test('sources are updated, and all of them', async () => {
    const [one, two] = await manager().save(manager().create(Sensor, [{}, {}]));
    if (one === undefined || two === undefined) throw new Error('no sensors');
    await insertReadings(one);
    await expectRight(fixture, [SENSORS, UNITS]);
    await manager().update(Reading, { sensor: { id: one.id }, value: 1 }, { sensor: two });
    await manager().update(Reading, { value: 100 }, { value: 500 });
    expect(await manager().countBy(Reading, { sensor: { id: two.id } })).toBe(1);
    expect(await manager().countBy(Reading, { value: 500 })).toBe(1);
    await expectRight(fixture, [SENSORS, UNITS]);
    await manager().updateAll(Reading, { value: () => 'value * 2' });
    // TypeORM takes two rows of one millisecond for one entity.
    expect(await manager().query('SELECT value FROM reading ORDER BY value')).toEqual(
      [2, 20, 1000, 2000].map((value) => ({ value })),
    );
    await expectRight(fixture, [SENSORS, UNITS]);
    await manager().softDelete(Reading, { value: 1000 });
    expect(await manager().countBy(Reading, { value: 1000 })).toBe(0);
    await expectRight(fixture, [SENSORS, UNITS]);
  });

  test('sources are updated by upsert', async () => {
    const sensor = await manager().save(manager().create(Sensor));
    await insertReadings(sensor);
    const again = { channel: 1, at: new Date('2026-03-29T01:30:00.001Z'), value: 7, sensor };
    await manager().upsert(Reading, [again, { ...again, channel: 2 }], ['channel', 'at']);
    await manager()
      .createQueryBuilder()
      .insert()
      .into(Reading)
      .values({ channel: 1, at: () => `'2026-03-29 01:30:00.002001+00'`, value: 9, sensor })
      .orUpdate(['value'], ['channel', 'at'])
      .execute();
    expect(await manager().countBy(Reading, { value: 9 })).toBe(1);
    await expectRight(fixture, [SENSORS, UNITS]);
  });

  test('sources go with their target', async () => {
    const sensor = await manager().save(manager().create(Sensor));
    const other = await manager().save(manager().create(Sensor));
    await insertReadings(sensor);
    await manager().delete(Sensor, { id: sensor.id });
    expect(await manager().count(Reading)).toBe(0);
    await insertReadings(other);
    await manager().delete(Reading, { value: 1 });
    await expectRight(fixture, [SENSORS, UNITS]);
  });

  test.each([
    ['a date', Day, [{ date: '2026-03-29' }, { date: '2026-01-01' }], 'day'],
    [
      'a time',
      Moment,
      [{ at: new Date('2026-03-29T00:30:00.123Z') }, { at: new Date('1969-12-31T23:59:59.999Z') }],
      'moment',
    ],
    ['bytes', Digest, [{ hash: Buffer.from([0, 255, 92, 120]) }, { hash: Buffer.from('0001', 'hex') }], 'digest'],
  ] as const)('sources go with a row whose key is %s', async (_, entity, keys, relation) => {
    const unit = { name: 'km/h' };
    await manager().upsert(Unit, unit, ['name']);
    await manager().insert(entity, keys.map((key) => ({ ...key })) as never);
    const events = [keys[0], keys[0], keys[1]].map((key) => ({ unit, [relation]: key }));
    await manager().insert(Event, events);
    await expectRight(fixture, [EVENTS]);
    await manager().delete(entity, keys[0]);
    expect(await manager().count(entity)).toBe(1);
    expect(await manager().count(Event)).toBe(1);
    await expectRight(fixture, [EVENTS]);
  });
});
