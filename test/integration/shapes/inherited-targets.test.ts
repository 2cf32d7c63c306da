import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type ObjectLiteral,
  type Relation,
  TableInheritance,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar' }) kind!: string;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) messagesCount!: number;
}

@ChildEntity()
class Company extends Account {
  @Column({ default: 0 }) invoicesSum!: number;
}

@ChildEntity()
class Startup extends Company {
  @Column({ default: 0 }) investorsCount!: number;
}

@ChildEntity()
class Individual extends Account {
  @Column({ default: '' }) nick!: string;
}

/** An owner of every class counts it; only companies count invoices, only startups investors. */
@Entity()
@CounterCache<Entry, Account>({ relation: 'account', column: 'messagesCount' })
@CounterCache<Entry, Company>({ relation: 'company', column: 'invoicesSum', incrementBy: 'amount' })
@CounterCache<Entry, Startup>({ relation: 'startup', column: 'investorsCount' })
class Entry {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 3 }) amount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Account, { onDelete: 'CASCADE' }) account!: Relation<Account> | null;
  @ManyToOne(() => Company, { onDelete: 'SET NULL' }) company!: Relation<Company> | null;
  @ManyToOne(() => Startup, { onDelete: 'CASCADE' }) startup!: Relation<Startup> | null;
}

/** One-to-one by the same key, from a child class that is a source of its own. */
@Entity()
@TableInheritance({ column: { type: 'int', name: 'type' } })
class Badge {
  @PrimaryColumn() id!: number;
}

@ChildEntity(7)
@CounterCache<Medal, Account>({ relation: 'owner', column: 'messagesCount', incrementBy: 10 })
class Medal extends Badge {
  @ManyToOne(() => Account, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Account> | null;
}

const from = (key: string): string => `FROM entry e WHERE e."${key}" = t.id AND e."deletedAt" IS NULL`;
const TRUTHS: readonly Truth[] = [
  {
    table: 'account',
    columns: {
      '"messagesCount"': `(SELECT count(*) ${from('accountId')})
        + 10 * (SELECT count(*) FROM badge b WHERE b."ownerId" = t.id AND b.type = '7')`,
      '"invoicesSum"': `(SELECT COALESCE(sum(e.amount), 0) ${from('companyId')})`,
      '"investorsCount"': `(SELECT count(*) ${from('startupId')})`,
    },
  },
];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({
    entities: [Account, Company, Startup, Individual, Entry, Badge, Medal],
  });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('targets of one table and several classes, PostgreSQL %s', (version) => {
  let individual: Individual;
  let company: Company;
  let startup: Startup;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, TRUTHS);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Entry, Badge, Account]);
    individual = await manager().save(manager().create(Individual, { nick: 'i' }));
    company = await manager().save(manager().create(Company, { name: 'c' }));
    startup = await manager().save(manager().create(Startup, { name: 's' }));
  });
  afterEach(() => expectAgreed(fixture));

  test('every write of a source that refers to a class and to its child', async () => {
    await expectEveryWrite<Startup>(fixture, {
      source: Entry,
      targets: [startup, await manager().save(manager().create(Startup))],
      values: (account, row) => ({ account, company: account, startup: account, amount: row }),
      truths: TRUTHS,
    });
  });

  test('sources that refer to one of three classes each', async () => {
    await manager().insert(Entry, [
      { account: individual },
      { account: company, company },
      { account: startup, company: startup, startup },
      { account: individual, company: startup, amount: 50 },
    ]);
    await right();
    await manager().update(Entry, { company: { id: company.id } }, { company: startup, startup });
    await right();
    expect(await manager().findOneByOrFail(Startup, { id: startup.id })).toMatchObject({
      messagesCount: 1,
      invoicesSum: 56,
      investorsCount: 2,
    });
  });

  test('what refers to a target goes with it, whatever class deletes it', async () => {
    const fill = () =>
      manager().insert(Entry, [
        { account: individual, company: startup },
        { account: startup, company },
        { account: company, company: startup, startup },
      ]);
    await fill();
    await manager().insert(Medal, [
      { id: 1, owner: startup },
      { id: 2, owner: company },
    ]);
    await right();
    await manager().delete(Account, { id: startup.id });
    expect(await manager().count(Entry)).toBe(1);
    await right();
    await manager().remove(await manager().findOneByOrFail(Company, { id: company.id }));
    await right();
    await manager().delete(Individual, { nick: 'i' });
    expect(await manager().count(Entry)).toBe(0);
    await manager().save(manager().create(Individual));
    await right();
  });

  test('a stale target keeps its counters, saved through its class or through the parent', async () => {
    await manager().insert(Entry, [
      { account: startup, company: startup, startup },
      { account: startup, company: startup, startup },
    ]);
    await right();
    const stale = { messagesCount: 70, invoicesSum: 70, investorsCount: 70 };
    await manager().save(Object.assign(startup, stale, { name: 'through its class' }));
    await manager().save(Account, Object.assign(startup, stale, { name: 'through the root' }));
    await manager().update(Company, { id: startup.id }, { ...stale, name: 'through the class between' });
    expect(await manager().findOneByOrFail(Startup, { id: startup.id })).toMatchObject({
      name: 'through the class between',
      messagesCount: 2,
      invoicesSum: 6,
      investorsCount: 2,
    });
    await right();
  });

  test('a target becomes one of another class, and is counted on', async () => {
    await manager().insert(Entry, { account: company, company });
    await manager().update(Account, { id: company.id }, { kind: 'Startup' });
    await manager().insert(Entry, { account: company, company, startup: company });
    await right();
    expect(await manager().findOneByOrFail(Startup, { id: company.id })).toMatchObject({
      messagesCount: 2,
      invoicesSum: 6,
      investorsCount: 1,
    });
  });

  describe.each([
    ['the root', Account, 'messagesCount', 1],
    ['a child', Company, 'invoicesSum', 3],
    ['a grandchild', Startup, 'investorsCount', 1],
  ] as const)('is found by the class that its counter names: %s', (_, target, column, value) => {
    beforeEach(async () => {
      await manager().insert(Entry, { account: startup, company: startup, startup });
      await fixture.counters.settled();
    });

    test('read()', async () => {
      expect(await fixture.counters.read<ObjectLiteral, string>(target, startup.id, column)).toBe(value);
    });

    test('verify() and recalculate()', async () => {
      const filter = { target, ids: [startup.id] };
      expect(await fixture.counters.verify(filter)).toMatchObject({ checked: 1, fixedCount: 0 });
      expect(await fixture.counters.recalculate(filter)).toMatchObject({ checked: 1, fixedCount: 0 });
    });

    test('flush()', async () => {
      expect(await fixture.counters.flush({ target, ids: [startup.id] })).toMatchObject({ targets: 1 });
    });
  });
});
