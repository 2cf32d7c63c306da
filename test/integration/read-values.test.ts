import { TypeOverrides, types } from 'pg';
import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

const toBigInt = { to: String, from: (text: string | null) => (text === null ? null : BigInt(text)) };
const toNumber = { to: String, from: (text: string | null) => (text === null ? null : Number(text)) };

@Entity()
class Jar {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'smallint', nullable: true }) coinsCount!: number | null;
  @Column({ type: 'bigint', default: 0 }) text!: NumericText;
  @Column({ type: 'bigint', default: 0, transformer: toBigInt }) bigint!: bigint;
  @Column({ type: 'numeric', precision: 9, scale: 2, default: 0 }) decimal!: NumericText;
  @Column({ type: 'numeric', precision: 9, scale: 2, default: 0, transformer: toNumber }) float!: number;
}

@Entity()
class Coin {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) value!: number;
  @CounterCache({ column: 'coinsCount' })
  @CounterCache({ column: 'text', incrementBy: 'value' })
  @CounterCache({ column: 'bigint', incrementBy: 'value' })
  @CounterCache({ column: 'decimal', incrementBy: 0.5 })
  @CounterCache({ column: 'float', incrementBy: 0.5 })
  @ManyToOne(() => Jar)
  jar!: Relation<Jar>;
}

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Jar, Coin] });
});
afterAll(() => fixture.close());

test('read() gives what the property holds once the deltas are applied', async () => {
  const { counters } = fixture;
  const { manager } = fixture.dataSource;
  const jar = await manager.save(manager.create(Jar, {}));
  expect(await counters.read(Jar, jar.id, 'coinsCount')).toBe(0);
  await manager.insert(Coin, [
    { jar, value: 3 },
    { jar, value: 4 },
  ]);
  const all = async (): Promise<unknown> => ({
    coinsCount: await counters.read(Jar, jar.id, 'coinsCount'),
    text: await counters.read(Jar, jar.id, 'text'),
    bigint: (await counters.read(Jar, [jar.id], 'bigint')).get(jar.id),
    decimal: await counters.read(Jar, jar.id, 'decimal'),
    float: await counters.read(Jar, jar.id, 'float'),
  });
  const values = { coinsCount: 2, text: '7', bigint: 7n, decimal: '1.00', float: 1 };
  expect(await all()).toEqual(values);
  await counters.flush();
  expect(await manager.findOneByOrFail(Jar, { id: jar.id })).toMatchObject(values);
  expect(await all()).toEqual(values);
  expect(await counters.read(Jar, 0, 'bigint')).toBeNull();
});

test('read() follows the parsers of the driver', async () => {
  const { manager } = fixture.dataSource;
  const jar = await manager.save(manager.create(Jar, {}));
  const parse = types.getTypeParser(types.builtins.INT8) as (text: string) => unknown;
  types.setTypeParser(types.builtins.INT8, Number);
  try {
    await manager.insert(Coin, { jar, value: 3 });
    expect(await fixture.counters.read(Jar, jar.id, 'text')).toBe(3);
    await fixture.counters.flush();
    expect(await manager.findOneByOrFail(Jar, { id: jar.id })).toMatchObject({ text: 3 });
  } finally {
    types.setTypeParser(types.builtins.INT8, parse);
  }
});

test('read() follows the parsers of its DataSource before those of the driver', async () => {
  const parsers = new TypeOverrides();
  parsers.setTypeParser(types.builtins.INT8, Number);
  const other = await setup({ entities: [Jar, Coin], dataSource: { extra: { types: parsers } } });
  const { manager } = other.dataSource;
  const jar = await manager.save(manager.create(Jar, {}));
  await manager.insert(Coin, { jar, value: 3 });
  expect(await other.counters.read(Jar, jar.id, 'text')).toBe(3);
  await other.counters.flush();
  expect(await manager.findOneByOrFail(Jar, { id: jar.id })).toMatchObject({ text: 3 });
  expect(other.errors).toEqual([]);
  await other.close();
});
