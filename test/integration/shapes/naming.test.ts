import {
  Column,
  DefaultNamingStrategy,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectRight, setupShape, type Truth, VERSIONS } from './truth';

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** As applications that came from elsewhere write theirs. */
class SnakeNames extends DefaultNamingStrategy {
  override tableName(className: string, given: string | undefined): string {
    return given ?? `tbl${snake(className)}`;
  }
  override columnName(property: string, given: string | undefined, prefixes: string[]): string {
    return snake([...prefixes, given ?? property].join('_'));
  }
  override joinColumnName(relation: string, referenced: string): string {
    return snake(`fk_${relation}_${referenced}`);
  }
}

class Sums {
  @Column({ default: 0 }) lineTotal!: number;
}

@Entity()
class CustomerOrder {
  @PrimaryGeneratedColumn() orderId!: number;
  @Column({ default: 0 }) linesCount!: number;
  @Column(() => Sums) allSums!: Sums;
}

@Entity()
@CounterCache<OrderLine, CustomerOrder>({ relation: 'customerOrder', column: 'linesCount', where: { isFree: false } })
@CounterCache<OrderLine, CustomerOrder>({
  relation: 'customerOrder',
  column: 'allSums.lineTotal',
  incrementBy: 'unitCount',
})
class OrderLine {
  @PrimaryGeneratedColumn() lineId!: number;
  @Column({ default: false }) isFree!: boolean;
  @Column({ default: 1 }) unitCount!: number;
  @Column({ name: 'givenName', default: '' }) givenByUs!: string;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => CustomerOrder) customerOrder!: Relation<CustomerOrder> | null;
}

const LINES = 'FROM tbl_order_line l WHERE l.fk_customer_order_order_id = t.order_id AND l.deleted_at IS NULL';
const ORDERS: Truth = {
  table: 'tbl_customer_order',
  columns: {
    lines_count: `(SELECT count(*) ${LINES} AND NOT l.is_free)`,
    all_sums_line_total: `(SELECT COALESCE(sum(l.unit_count), 0) ${LINES})`,
  },
};

@Entity({ name: 'user' })
class User {
  @PrimaryColumn({ name: 'select' }) id!: number;
  @Column({ name: 'group', default: 0 }) group!: number;
  @Column({ name: '__cc_n', default: 0 }) ours!: number;
}

/** Names that look like our own aliases, and a row that is its own `t`. */
@Entity({ name: 'Group' })
@CounterCache<Membership, User>({ relation: 'user', column: 'group' })
@CounterCache<Membership, User>({ relation: 'user', column: 'ours', incrementBy: 'n0', where: { from: 'where' } })
class Membership {
  @PrimaryGeneratedColumn({ name: 'k0' }) id!: number;
  @Column({ name: 'new', type: 'text', unique: true, nullable: true }) tag!: string | null;
  @Column({ name: '__cc_n0', default: 1 }) n0!: number;
  @Column({ name: 'from', default: 'where' }) from!: string;
  @ManyToOne(() => User) @JoinColumn({ name: '__cc_x' }) user!: Relation<User> | null;
}

const USERS: Truth = {
  table: '"user"',
  columns: {
    '"group"': '(SELECT count(*) FROM "Group" g WHERE g.__cc_x = t."select")',
    __cc_n: `(SELECT COALESCE(sum(g.__cc_n0), 0) FROM "Group" g WHERE g.__cc_x = t."select" AND g."from" = 'where')`,
  },
};

describe.each(VERSIONS)('names, PostgreSQL %s', (version) => {
  let fixture: Fixture;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  afterEach(() => fixture.close());

  test('of a naming strategy', async () => {
    const namingStrategy = new SnakeNames();
    fixture = await setupShape({ entities: [CustomerOrder, OrderLine], dataSource: { namingStrategy } });
    answerAs(fixture, version);
    const [one, two] = await manager().save(manager().create(CustomerOrder, [{}, {}]));
    if (one === undefined || two === undefined) throw new Error('no orders');
    await expectEveryWrite<CustomerOrder>(fixture, {
      source: OrderLine,
      targets: [one, two],
      values: (customerOrder, row) => ({ customerOrder, unitCount: row, isFree: row === 4, givenByUs: 'x' }),
      truths: [ORDERS],
    });
    expect(await fixture.dataSource.query('SELECT count(*)::int AS n FROM tbl_order_line')).toEqual([{ n: 3 }]);
  });

  test('that are reserved, or as this library names its own columns', async () => {
    fixture = await setupShape({ entities: [User, Membership] });
    answerAs(fixture, version);
    await clear(fixture, [Membership, User]);
    await manager().insert(User, [{ id: 1 }, { id: 2 }]);
    await expectEveryWrite<{ id: number }>(fixture, {
      source: Membership,
      targets: [{ id: 1 }, { id: 2 }],
      values: (user, n0) => ({ user, n0, from: n0 % 3 === 0 ? 'where' : 'having' }),
      truths: [USERS],
    });
    await manager().upsert(Membership, [{ tag: 'x', n0: 5, user: { id: 1 } }], ['tag']);
    await manager().upsert(Membership, [{ tag: 'x', n0: 7, user: { id: 2 } }], ['tag']);
    expect(await manager().countBy(Membership, { tag: 'x', n0: 7 })).toBe(1);
    await expectRight(fixture, [USERS]);
    await manager()
      .createQueryBuilder()
      .insert()
      .into(Membership)
      .values({ n0: 2, user: { id: 1 } })
      .returning('*')
      .execute();
    await expectRight(fixture, [USERS]);
  });
});
