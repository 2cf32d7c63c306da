import { Column, DeleteDateColumn, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount } from './agreement';

const money = { type: 'numeric', precision: 12, scale: 2 } as const;

@Entity()
class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) points!: number;
  @Column({ type: 'smallint', nullable: true }) malus!: number | null;
  @Column({ ...money, default: 0 }) halves!: NumericText;
  @Column({ ...money, default: 0 }) balance!: NumericText;
  @Column({ ...money, default: 0 }) computed!: NumericText;
  @Column({ type: 'numeric', precision: 20, scale: 4, default: 0 }) fine!: NumericText;
  @Column({ type: 'bigint', default: 0 }) units!: NumericText;
  @Column({ type: 'bigint', default: 0 }) unitsComputed!: NumericText;
}

@Entity()
@CounterCache<Booking, Account>({ relation: 'account', column: 'points', incrementBy: 5 })
@CounterCache<Booking, Account>({ relation: 'account', column: 'malus', incrementBy: -2 })
@CounterCache<Booking, Account>({ relation: 'account', column: 'halves', incrementBy: 0.5 })
@CounterCache<Booking, Account>({ relation: 'account', column: 'balance', incrementBy: 'amount' })
@CounterCache<Booking, Account>({
  relation: 'account',
  column: 'computed',
  incrementBy: ({ amount }) => Number(amount),
})
@CounterCache<Booking, Account>({ relation: 'account', column: 'fine', incrementBy: 'amount' })
@CounterCache<Booking, Account>({ relation: 'account', column: 'units', incrementBy: 'units' })
@CounterCache<Booking, Account>({
  relation: 'account',
  column: 'unitsComputed',
  incrementBy: ({ units }) => BigInt(units ?? 0),
})
class Booking {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ ...money, nullable: true }) amount!: NumericText | number | null;
  @Column({ type: 'bigint', nullable: true }) units!: NumericText | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Account, { nullable: true }) account!: Relation<Account> | null;
}

const TRUTH = `SELECT a.id,
  ARRAY[points, COALESCE(malus, 0), halves, balance, computed, fine, a.units, "unitsComputed"]::numeric[]::text[] AS got,
  ARRAY[5 * count(b.id), -2 * count(b.id), (0.5 * count(b.id))::numeric(12,2), COALESCE(sum(b.amount), 0)::numeric(12,2),
    COALESCE(sum(b.amount), 0)::numeric(12,2), COALESCE(sum(b.amount), 0)::numeric(20,4), COALESCE(sum(b.units), 0),
    COALESCE(sum(b.units), 0)]::numeric[]::text[] AS right
  FROM account a LEFT JOIN booking b ON b."accountId" = a.id AND b."deletedAt" IS NULL GROUP BY a.id ORDER BY a.id`;

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Account, Booking] });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

const newAccount = (): Promise<Account> => fixture.dataSource.manager.save(fixture.dataSource.manager.create(Account));
const load = ({ id }: Account): Promise<Account> => fixture.dataSource.manager.findOneByOrFail(Account, { id });

test('0.1 a thousand times is exactly 100.00', async () => {
  const account = await newAccount();
  const { manager } = fixture.dataSource;
  for (let i = 0; i < 10; i++) {
    await manager.insert(
      Booking,
      Array.from({ length: 100 }, () => ({ account, amount: 0.1 })),
    );
    if (i % 3 === 0) await fixture.counters.flush();
  }
  await fixture.counters.flush();
  expect(await load(account)).toMatchObject({
    points: 5_000,
    malus: -2_000,
    halves: '500.00',
    balance: '100.00',
    computed: '100.00',
    fine: '100.0000',
  });
  await expectAgreement(fixture, TRUTH);
  await expectRecount(fixture, `UPDATE account SET balance = 0.01, computed = -1, units = 3`, TRUTH);
});

test('negative amounts, NULL amounts, and changes of both', async () => {
  const account = await newAccount();
  const other = await newAccount();
  const { manager } = fixture.dataSource;
  const bookings = await manager.save(Booking, [
    { account, amount: '-12.34', units: '-7' },
    { account, amount: '0.01', units: null },
    { account, amount: null, units: '9' },
    { account: null, amount: '5.00', units: '1' },
  ]);
  await expectAgreement(fixture, TRUTH);
  expect(await load(account)).toMatchObject({ balance: '-12.33', units: '2' });
  await manager.update(Booking, { account: { id: account.id } }, { amount: () => 'amount * -3' });
  await expectAgreement(fixture, TRUTH);
  for (const booking of bookings) await manager.save(Booking, { id: booking.id, account: other, amount: '1.10' });
  await expectAgreement(fixture, TRUTH);
  await manager.softRemove(Booking, bookings.slice(0, 2));
  await expectAgreement(fixture, TRUTH);
  await manager.remove(Booking, bookings);
  await expectAgreement(fixture, TRUTH);
  expect(await load(other)).toMatchObject({ balance: '0.00', units: '0', points: 0, malus: 0 });
});

test('values beyond 2^53 stay exact', async () => {
  const account = await newAccount();
  const { manager } = fixture.dataSource;
  for (const units of ['9007199254740993', '9007199254740993', '1', '-3', '4000000000000000001'] as const)
    await manager.insert(Booking, { account, units });
  await expectAgreement(fixture, TRUTH);
  expect(await load(account)).toMatchObject({ units: '4018014398509481985', unitsComputed: '4018014398509481985' });
  expect(await fixture.counters.read(Account, account.id, 'units')).toBe('4018014398509481985');
  await manager.delete(Booking, { units: '4000000000000000001' });
  await expectAgreement(fixture, TRUTH);
  expect(await load(account)).toMatchObject({ units: '18014398509481984' });
});

test('pending sums that leave int64 end right all the same', async () => {
  const account = await newAccount();
  const { manager } = fixture.dataSource;
  const big = '6000000000000000000';
  const first = await manager.save(Booking, { account, units: big });
  const second = await manager.save(Booking, { account, units: big });
  const third = await manager.save(Booking, { account, units: `-${big}` });
  await fixture.counters.settled();
  const worker = await fixture.counters.startWorker();
  await fixture.counters.recalculate({ target: Account, ids: [account.id] });
  await worker.close();
  await expectAgreement(fixture, TRUTH);
  expect(await load(account)).toMatchObject({ units: big, unitsComputed: big });
  await manager.remove(Booking, [first, second, third]);
  await expectAgreement(fixture, TRUTH);
});

test('events and read() tell values in units of the column', async () => {
  const account = await newAccount();
  const changes: unknown[] = [];
  const listen = (event: { readonly changes: readonly object[] }): void => {
    changes.push(...event.changes);
  };
  fixture.counters.on('reconciled', listen);
  await fixture.dataSource.manager.insert(Booking, { account, amount: '-0.05', units: '9007199254740993' });
  await fixture.counters.settled();
  expect(await fixture.counters.read(Account, account.id, 'balance')).toBe('-0.05');
  await fixture.counters.flush();
  fixture.counters.off('reconciled', listen);
  const id = String(account.id);
  expect(changes).toContainEqual({ entity: 'Account', id, column: 'balance', before: '0.00', after: '-0.05' });
  expect(changes).toContainEqual({ entity: 'Account', id, column: 'malus', before: '0', after: '-2' });
  expect(changes).toContainEqual({ entity: 'Account', id, column: 'units', before: '0', after: '9007199254740993' });
  await expectAgreement(fixture, TRUTH);
});
