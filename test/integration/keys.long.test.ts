import {
  Column,
  Entity,
  EntitySchema,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache, defineCounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount } from './agreement';

@Entity()
class Employee {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
class Product {
  @PrimaryColumn({ type: 'bigint' }) id!: string;
  @Column({ default: 0 }) noticesCount!: number;
}

/** "user" and "usage" begin alike, and so do their rows' keys. */
@Entity()
class User {
  @PrimaryColumn({ type: 'text' }) id!: string;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
class Usage {
  @PrimaryColumn({ type: 'text' }) id!: string;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
class Device {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true }) code!: string;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
class Seat {
  @PrimaryColumn() row!: string;
  @PrimaryColumn() place!: number;
  @Column({ default: 0 }) noticesCount!: number;
}

@Entity()
@CounterCache<Notice, Employee>({ relation: 'employee', column: 'noticesCount' })
@CounterCache<Notice, Product>({ relation: 'product', column: 'noticesCount' })
@CounterCache<Notice, User>({ relation: 'user', column: 'noticesCount' })
@CounterCache<Notice, Usage>({ relation: 'usage', column: 'noticesCount' })
@CounterCache<Notice, Device>({ relation: 'device', column: 'noticesCount' })
@CounterCache<Notice, Parcel>({ relation: 'parcel', column: 'noticesCount' })
@CounterCache<Notice, Seat>({ relation: 'seat', column: 'noticesCount' })
class Notice {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Employee, { nullable: true }) employee!: Relation<Employee> | null;
  @ManyToOne(() => Product, { nullable: true }) product!: Relation<Product> | null;
  @ManyToOne(() => User, { nullable: true }) user!: Relation<User> | null;
  @ManyToOne(() => Usage, { nullable: true }) usage!: Relation<Usage> | null;
  @ManyToOne(() => Device, { nullable: true }) device!: Relation<Device> | null;
  @ManyToOne(() => Parcel, { nullable: true })
  @JoinColumn({ name: 'parcelCode', referencedColumnName: 'code' })
  parcel!: Relation<Parcel> | null;
  @ManyToOne(() => Seat, { nullable: true }) seat!: Relation<Seat> | null;
}

interface FolderRow {
  id: number;
  memosSum: number;
}

interface MemoRow {
  id: number;
  folder: FolderRow | null;
}

/** TypeORM builds schemas and classes apart, so both ends are schemas. */
const Folder = new EntitySchema<FolderRow>({
  name: 'Folder',
  columns: { id: { type: 'int', primary: true }, memosSum: { type: 'int', default: 0 } },
});
const Memo = new EntitySchema<MemoRow>({
  name: 'Memo',
  columns: { id: { type: 'int', primary: true, generated: true } },
  relations: { folder: { type: 'many-to-one', target: 'Folder', nullable: true } },
});
defineCounterCache<MemoRow, FolderRow>(Memo, { relation: 'folder', column: 'memosSum', incrementBy: ({ id }) => id });

const truth = (table: string, condition: string): string =>
  `SELECT t.* AS id, ARRAY["noticesCount"]::text[] AS got,
  ARRAY[(SELECT count(*) FROM notice n WHERE ${condition})]::text[] AS right FROM ${table} t ORDER BY 1`;
const TRUTHS = {
  employee: truth('employee', 'n."employeeId" = t.id'),
  product: truth('product', 'n."productId" = t.id'),
  user: truth('"user"', 'n."userId" = t.id'),
  usage: truth('usage', 'n."usageId" = t.id'),
  device: truth('device', 'n."deviceId" = t.id'),
  parcel: truth('parcel', 'n."parcelCode" = t.code'),
  folder: `SELECT f.id, ARRAY["memosSum"]::text[] AS got,
    ARRAY[(SELECT COALESCE(sum(m.id), 0) FROM memo m WHERE m."folderId" = f.id)]::text[] AS right FROM folder f ORDER BY f.id`,
  seat: truth('seat', 'n."seatRow" = t.row AND n."seatPlace" = t.place'),
};

const HOSTILE = [
  'a:b', 'a,b', 'a/b', 'a%b', 'a%3Ab', 'a@b', 'a;b', `a'b`, 'a"b', 'a b', ' a', 'a ', 'ä', '日本', '👍', 'a\nb', 'a\tb',
  'a\r\nb', '{a}', '[a]', '\\', '\\x00', '', 'NULL', '-1', '3', '%', ',', ':', '/@noticesCount', 'user:id:1', '$1', 'A:B',
]; // prettier-ignore

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Employee, Product, User, Usage, Device, Parcel, Seat, Notice, Folder, Memo] });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

test('Employee#3 and Product#3, User#1 and Usage#1 never share a key', async () => {
  const { manager } = fixture.dataSource;
  const employee = await manager.save(Employee, { id: 3 });
  const product = await manager.save(Product, { id: '3' });
  const user = await manager.save(User, { id: '1' });
  const usage = await manager.save(Usage, { id: '1' });
  await manager.insert(Notice, [{ employee }, { employee, product }, { user }, { user, usage }, { user }]);
  await expectAgreement(fixture, TRUTHS.employee, TRUTHS.product, TRUTHS.user, TRUTHS.usage);
  expect(await manager.findOneBy(Employee, { id: 3 })).toMatchObject({ noticesCount: 2 });
  expect(await manager.findOneBy(Usage, { id: '1' })).toMatchObject({ noticesCount: 1 });
  await expectRecount(fixture, 'UPDATE usage SET "noticesCount" = 5', TRUTHS.usage);
});

test('ids that are texts, whatever they hold', async () => {
  const { manager } = fixture.dataSource;
  for (const id of HOSTILE) {
    await manager.insert(User, { id });
    await manager.insert(Usage, { id });
  }
  for (const [i, id] of HOSTILE.entries()) {
    await manager.insert(
      Notice,
      Array.from({ length: 1 + (i % 3) }, () => ({ user: { id } })),
    );
    await manager.insert(Notice, { usage: { id } });
  }
  await fixture.counters.settled();
  const read = await fixture.counters.read(User, [...HOSTILE], 'noticesCount');
  expect([...read]).toEqual(HOSTILE.map((id, i) => [id, 1 + (i % 3)]));
  await expectAgreement(fixture, TRUTHS.user, TRUTHS.usage);
  await manager.update(Notice, { user: { id: 'a:b' } }, { user: { id: 'a,b' } });
  await manager.delete(Notice, { user: { id: `a'b` } });
  await expectAgreement(fixture, TRUTHS.user);
  await fixture.dataSource.query('UPDATE "user" SET "noticesCount" = 50');
  const ids = [...HOSTILE];
  expect(await fixture.counters.recalculate({ target: User, ids })).toMatchObject({ fixedCount: HOSTILE.length });
  const { fixed } = await fixture.counters.recalculate({ target: User });
  expect(fixed.map(({ id }) => id)).toEqual(['1']);
  await expectAgreement(fixture, TRUTHS.user);
});

test('bigints beyond 2^53, negative ints, and uuids however they are written', async () => {
  const { manager } = fixture.dataSource;
  const ids = ['9007199254740993', '9007199254740992', '-5', '0'];
  for (const id of ids) await manager.insert(Product, { id });
  await manager.insert(Employee, { id: -3 });
  for (const [i, id] of ids.entries())
    await manager.insert(
      Notice,
      Array.from({ length: i + 1 }, () => ({ product: { id } })),
    );
  await manager.insert(Notice, { employee: { id: -3 } });
  const devices = await manager.save(manager.create(Device, [{}, {}]));
  for (const { id } of devices) await manager.insert(Notice, { device: { id: id.toUpperCase() } });
  await manager.update(Notice, { device: { id: devices[0]?.id ?? '' } }, { device: { id: `{${devices[1]?.id}}` } });
  await expectAgreement(fixture, TRUTHS.employee, TRUTHS.product, TRUTHS.device);
  const upper = devices[1]?.id.toUpperCase() ?? '';
  expect(await fixture.counters.read(Device, upper, 'noticesCount')).toBe(2);
  expect(await fixture.counters.recalculate({ target: Device, ids: [upper] })).toMatchObject({
    checked: 1,
    fixedCount: 0,
  });
  expect(await fixture.counters.read(Product, 9007199254740993n, 'noticesCount')).toBe(1);
});

test('a unique column that is no primary key, and a composite key', async () => {
  const { manager } = fixture.dataSource;
  const parcels = await manager.save(Parcel, [{ code: 'x:1' }, { code: 'x,1' }]);
  const seats = await manager.save(Seat, [
    { row: 'a,1', place: 2 },
    { row: 'a', place: 12 },
    { row: 'a', place: 2 },
  ]);
  for (const parcel of [...parcels, parcels[0] ?? null]) await manager.insert(Notice, { parcel });
  for (const seat of [...seats, seats[0] ?? null]) await manager.insert(Notice, { seat });
  await expectAgreement(fixture, TRUTHS.parcel, TRUTHS.seat);
  expect(await fixture.counters.read(Parcel, 'x:1', 'noticesCount')).toBe(2);
  const seat = [2, 'a,1'] as const;
  expect([...(await fixture.counters.read(Seat, [seat], 'noticesCount'))]).toEqual([[seat, 2]]);
  const notice = await manager.save(Notice, { seat: seats[0] ?? null });
  await manager.save(Notice, { id: notice.id, seat: seats[2] ?? null });
  await manager.update(Notice, { parcel: { code: 'x:1' } }, { parcel: parcels[1] ?? null });
  await expectAgreement(fixture, TRUTHS.parcel, TRUTHS.seat);
  await expectRecount(fixture, 'UPDATE seat SET "noticesCount" = 9', TRUTHS.seat);
  await expectRecount(fixture, 'UPDATE parcel SET "noticesCount" = 9', TRUTHS.parcel);
});

test('an EntitySchema as source, with defineCounterCache', async () => {
  const { manager } = fixture.dataSource;
  const one = await manager.save(Folder, { id: 1 });
  const two = await manager.save(Folder, { id: 2 });
  await manager.insert(Memo, [{ folder: one }, { folder: two }, { folder: null }]);
  const memo = await manager.save(Memo, { folder: one });
  await expectAgreement(fixture, TRUTHS.folder);
  await manager.save(Memo, { id: memo.id, folder: two });
  await manager.delete(Memo, { folder: { id: 1 } });
  await expectAgreement(fixture, TRUTHS.folder);
  await expectRecount(fixture, 'UPDATE folder SET "memosSum" = 999', TRUTHS.folder);
});
