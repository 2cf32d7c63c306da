import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { ConfigurationError, CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

/** Reached by an integer, and by a text. */
@Entity()
class Parcel {
  @PrimaryColumn() id!: number;
  @Column({ unique: true }) code!: string;
  @Column({ default: 0 }) scansCount!: number;
  @Column({ default: 0 }) labelsCount!: number;
}

@Entity()
@CounterCache<Scan, Parcel>({ relation: 'parcel', column: 'scansCount' })
class Scan {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Parcel) parcel!: Relation<Parcel>;
}

@Entity()
@CounterCache<Label, Parcel>({ relation: 'parcel', column: 'labelsCount' })
class Label {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Parcel)
  @JoinColumn({ name: 'parcelCode', referencedColumnName: 'code' })
  parcel!: Relation<Parcel>;
}

@Entity()
class Box {
  @PrimaryColumn({ type: 'bigint' }) id!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
@CounterCache<Note, Box>({ relation: 'box', column: 'notesCount' })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Box) box!: Relation<Box>;
}

const LARGE = '1152921504606846976';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await setup({
    entities: [Parcel, Scan, Label, Box, Note],
    counters: { mode: 'outbox', wait: 600_000 },
  });
  const { manager } = fixture.dataSource;
  await manager.insert(Parcel, { id: 1, code: 'abc' });
  await manager.insert(Scan, { parcel: { id: 1 } });
  await manager.insert(Label, { parcel: { code: 'abc' } });
  await manager.insert(Box, { id: LARGE });
  await manager.insert(Note, { box: { id: LARGE } });
});
afterAll(() => fixture.close());

test('an id names a target by whichever of its keys it fits', async () => {
  const { counters, dataSource } = fixture;
  const logged: string[] = [];
  for await (const { column } of counters.log({ target: Parcel, ids: ['abc'] })) logged.push(column);
  expect(logged).toEqual(['labelsCount']);
  expect(await counters.read(Parcel, 'abc', 'labelsCount')).toBe(1);
  expect(await counters.retryFailed({ target: Parcel, ids: ['abc', 1] })).toBe(0);
  await counters.flush({ target: Parcel, ids: ['abc'] });
  expect(await dataSource.manager.findOneByOrFail(Parcel, { id: 1 })).toMatchObject({ labelsCount: 1, scansCount: 0 });
  await counters.flush({ target: Parcel, ids: [1] });
  expect(await dataSource.manager.findOneByOrFail(Parcel, { id: 1 })).toMatchObject({ labelsCount: 1, scansCount: 1 });
});

test('an id that fits no key is refused', async () => {
  const flushed = fixture.counters.flush({ target: Box, ids: ['abc'] });
  await expect(flushed).rejects.toThrow(ConfigurationError);
  await expect(flushed).rejects.toThrow('to name id (bigint), got: "abc"');
});

test('a number that JavaScript does not hold exactly is no id', async () => {
  const { counters } = fixture;
  for (const id of [LARGE, BigInt(LARGE)]) expect(await counters.read(Box, id, 'notesCount')).toBe(1);
  await expect(counters.read(Box, Number(LARGE), 'notesCount')).rejects.toThrow('expected an id of Box to name id');
});
