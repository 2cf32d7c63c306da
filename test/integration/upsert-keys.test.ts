import { Column, Entity, Index, ManyToOne, PrimaryGeneratedColumn, type Relation, Unique } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement } from './agreement';

@Entity()
class Room {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) staysSum!: number;
}

@Entity()
@Unique('one_a_day', ['guest', 'day', 'at'])
@Index(['tag'], { unique: true, where: 'active' })
@CounterCache<Stay, Room>({ relation: 'room', column: 'staysSum', incrementBy: 'nights' })
class Stay {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() guest!: string;
  @Column({ type: 'date' }) day!: string;
  @Column({ type: 'timestamptz' }) at!: Date;
  @Column({ nullable: true }) tag!: string;
  @Column({ default: false }) active!: boolean;
  @Column({ default: 1 }) nights!: number;
  @ManyToOne(() => Room, { nullable: true }) room!: Relation<Room> | null;
}

const TRUTH = `SELECT r.id, ARRAY["staysSum"]::text[] AS got,
  ARRAY[(SELECT COALESCE(sum(nights), 0) FROM stay s WHERE s."roomId" = r.id)]::text[] AS right FROM room r ORDER BY r.id`;

const AT = new Date('2026-03-29T00:30:00.123Z');

describe.each(['18', '17.0'])('upserts that conflict elsewhere than on the primary key, PostgreSQL %s', (version) => {
  let fixture: Fixture;
  let one: Room;
  let two: Room;

  beforeAll(async () => {
    fixture = await setup({ entities: [Room, Stay] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
  });
  beforeEach(async () => {
    const { manager } = fixture.dataSource;
    one = await manager.save(manager.create(Room));
    two = await manager.save(manager.create(Room));
  });
  afterEach(async () => {
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });
  afterAll(() => fixture.close());

  const stay = (guest: string, room: Room | null, nights = 1) => ({ guest, day: '2026-03-29', at: AT, room, nights });

  test('on a text, a date and a time together', async () => {
    const { manager } = fixture.dataSource;
    const paths = ['guest', 'day', 'at'];
    await manager.upsert(Stay, [stay('a,"b"', one), stay("it's {c}", one), stay('', null)], paths);
    await manager.upsert(
      Stay,
      [stay('a,"b"', two, 3), stay("it's {c}", null), stay('', two), stay('new', one, 4)],
      paths,
    );
    expect(await manager.countBy(Stay, { at: AT })).toBe(4);
  });

  test('on a constraint by its name', async () => {
    const upsert = (room: Room, nights: number) =>
      fixture.dataSource
        .createQueryBuilder()
        .insert()
        .into(Stay)
        .values([stay('named', room, nights)])
        .orUpdate(['nights', 'roomId'], 'one_a_day')
        .execute();
    await upsert(one, 2);
    await upsert(two, 5);
    expect(await fixture.dataSource.manager.countBy(Stay, { guest: 'named' })).toBe(1);
  });

  test('on a partial index, with rows outside of it that are alike', async () => {
    const { manager } = fixture.dataSource;
    const tagged = (guest: string, active: boolean, nights: number, room: Room) => ({
      ...stay(guest, room, nights),
      tag: 'vip',
      active,
    });
    await manager.insert(Stay, [tagged('x', false, 10, one), tagged('y', true, 20, one), tagged('z', false, 30, two)]);
    await expectAgreement(fixture, TRUTH);
    await manager.upsert(Stay, [tagged('w', true, 7, two)], { conflictPaths: ['tag'], indexPredicate: 'active' });
    expect(await manager.countBy(Stay, { tag: 'vip' })).toBe(3);
  });

  test('rows without a conflict, because their unique column is NULL', async () => {
    const { manager } = fixture.dataSource;
    await manager.upsert(Stay, [stay('n1', one), stay('n2', two)], {
      conflictPaths: ['tag'],
      indexPredicate: 'active',
    });
    await manager.upsert(Stay, [stay('n3', one)], { conflictPaths: ['tag'], indexPredicate: 'active' });
    expect(await manager.countBy(Stay, { nights: 1, room: { id: one.id } })).toBe(2);
  });
});
