import { setImmediate as nextTurn } from 'node:timers/promises';

import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache, Counters } from 'typeorm-counter-cache';

import { redisUrl } from '../../support/redis';
import { asleep } from '../../support/asleep';
import { type Fixture, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { onInsert, wrongAuthors } from './outbox';

@Entity()
class Account {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) total!: number;
}

@Entity()
@CounterCache<Booking, Account>({
  relation: 'account',
  column: 'total',
  wait: () => {
    throw new Error('no wait');
  },
  incrementBy: ({ amount }) => {
    if (amount < 0) throw new Error('negative');
    return amount;
  },
})
class Booking {
  @PrimaryColumn() id!: number;
  @Column() amount!: number;
  @Column() accountId!: number;
  @ManyToOne(() => Account) @JoinColumn({ name: 'accountId' }) account!: Relation<Account>;
}

const OUTBOX = { mode: 'outbox', wait: 600_000, sweepInterval: 600_000 } as const;

let fixture: Fixture;
let id: number;

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post, Account, Booking], counters: OUTBOX });
  const { manager } = fixture.dataSource;
  ({ id } = await manager.save(Author, { name: 'a' }));
  await manager.insert(Account, { id: 1 });
  // From the first insert on it is known what the database does to new rows.
  await manager.insert(Post, { authorId: id });
  await fixture.counters.flush();
});
afterEach(async () => {
  expect(await wrongAuthors(fixture)).toEqual([]);
  await fixture.close();
});

/** Closes the counters, and applies what they have left. */
async function flushAfterClose(closing: Promise<void>): Promise<void> {
  await closing;
  const others = await Counters.attach(fixture.dataSource, { ...TEST_OPTIONS, ...OUTBOX, redis: redisUrl() });
  await others.flush();
  await others.close();
}

describe('close()', () => {
  test('waits for a transaction all of whose statements enclosed their deltas: it may write more', async () => {
    const { counters, dataSource } = fixture;
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Post, { authorId: id });
    const closing = counters.close();
    await nextTurn();
    await runner.manager.update(Post, { authorId: id }, { likes: 5 });
    await runner.commitTransaction();
    await runner.release();
    await flushAfterClose(closing);
    expect(await wrongAuthors(fixture)).toEqual([]);
  });

  test.each(['in transactions', 'alone'])('waits for inserts under way, %s', async (way) => {
    const { counters, dataSource } = fixture;
    await onInsert(fixture, 'AFTER', 'post', 'PERFORM pg_sleep(0.5); RETURN NULL;');
    const inserted = Array.from({ length: 5 }, () =>
      way === 'alone'
        ? dataSource.manager.insert(Post, { authorId: id })
        : dataSource.transaction((manager) => manager.insert(Post, { authorId: id })),
    );
    await until(async () => (await asleep(dataSource)) === inserted.length);
    const closing = counters.close();
    await Promise.all(inserted);
    await flushAfterClose(closing);
    expect(await dataSource.manager.countBy(Post, { authorId: id })).toBe(6);
  });
});

describe('a builder that is asked for its text while it executes', () => {
  test.each(['insert', 'update'])('%s: COMMIT goes through, and what it did is counted', async (kind) => {
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    const { manager } = runner;
    const builder =
      kind === 'insert'
        ? manager.createQueryBuilder().insert().into(Post).values({ authorId: id, likes: 2 })
        : manager.createQueryBuilder().update(Post).set({ likes: 3 });
    const executed = builder.execute();
    builder.getQueryAndParameters();
    await executed;
    await runner.commitTransaction();
    await runner.release();
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });
});

describe('a rule that makes several statements of an INSERT', () => {
  const rule = 'CREATE RULE noted AS ON INSERT TO post DO ALSO INSERT INTO account (id) VALUES (NEW.id + 1000)';

  test('is known from the first insert on', async () => {
    await fixture.close();
    fixture = await setup({ entities: [Author, Post, Account, Booking], counters: OUTBOX });
    const { dataSource } = fixture;
    ({ id } = await dataSource.manager.save(Author, { name: 'a' }));
    await dataSource.query(rule);
    await dataSource.transaction((manager) => manager.insert(Post, { authorId: id }));
    await dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.flush();
    expect(await dataSource.manager.countBy(Post, { authorId: id })).toBe(2);
  });

  test('that came later costs the transaction that meets it, and no statement by itself', async () => {
    const { dataSource } = fixture;
    await dataSource.query(rule);
    await dataSource.manager.insert(Post, { authorId: id });
    await dataSource.transaction((manager) => manager.insert(Post, { authorId: id }));
    await fixture.counters.flush();
    expect(await dataSource.manager.countBy(Post, { authorId: id })).toBe(3);
  });
});

describe('a trigger that drops every row of a statement', () => {
  beforeEach(() =>
    onInsert(
      fixture,
      'BEFORE',
      'post',
      'IF NEW.likes = 7 THEN PERFORM pg_sleep(0.05); RETURN NULL; END IF; RETURN NEW;',
    ),
  );

  test('what is taken back goes with the savepoint that the statement was in', async () => {
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query('SAVEPOINT s');
    const inserted = runner.manager.insert(Post, { authorId: id, likes: 7 });
    await nextTurn();
    await Promise.all([inserted, runner.query('ROLLBACK TO SAVEPOINT s')]);
    await runner.commitTransaction();
    await runner.release();
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });

  test('what is taken back does not go with a savepoint beside it', async () => {
    const regret = new Error('rolled back');
    await fixture.dataSource.transaction(async (manager) => {
      const beside = manager.transaction(async (inner) => {
        await inner.insert(Post, { authorId: id });
        throw regret;
      });
      await Promise.all([manager.insert(Post, { authorId: id, likes: 7 }), expect(beside).rejects.toBe(regret)]);
    });
    await fixture.counters.flush();
  });
});

describe('functions of a counter', () => {
  test('that refuse what a trigger made of a row keep its transaction from COMMIT', async () => {
    const { dataSource } = fixture;
    await onInsert(fixture, 'BEFORE', 'booking', 'NEW.amount = -NEW.amount; RETURN NEW;');
    const refused = dataSource.transaction(async (manager) => {
      await expect(manager.insert(Booking, { id: 1, accountId: 1, amount: 7 })).rejects.toThrow('negative');
    });
    await expect(refused).rejects.toThrow('negative');
    expect(await dataSource.manager.count(Booking)).toBe(0);
  });

  test('that throw are told once per row', async () => {
    const { counters, dataSource, errors } = fixture;
    for (let i = 1; i <= 3; i++) {
      await dataSource.manager.insert(Booking, { id: i, accountId: 1, amount: i });
      expect(errors).toHaveLength(i);
    }
    await counters.flush();
    expect(await dataSource.manager.findOneByOrFail(Account, { id: 1 })).toMatchObject({ total: 6 });
    errors.length = 0;
  });
});
