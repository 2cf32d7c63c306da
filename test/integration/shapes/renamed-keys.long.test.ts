import {
  Column,
  Entity,
  In,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectRight, setupShape, type Truth, VERSIONS } from './truth';
import { until } from '../../support/until';
import { expectWorkerRight, untilIdle } from './worker';

@Entity()
class Topic {
  @PrimaryColumn({ type: 'text' }) code!: string;
  @Column({ default: '' }) title!: string;
  @Column({ default: 0 }) pagesCount!: number;
}

@Entity()
@CounterCache<Page, Topic>({ relation: 'topic', column: 'pagesCount', recalculation: false })
class Page {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Topic, { onUpdate: 'CASCADE' }) topic!: Relation<Topic> | null;
}

/** Reached by two keys, one of which may change. */
@Entity()
class Store {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', unique: true }) slug!: string;
  @Column({ default: 0 }) visitsCount!: number;
  @Column({ default: 0 }) ordersCount!: number;
}

@Entity()
@CounterCache<Visit, Store>({ relation: 'store', column: 'visitsCount', recalculation: false })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Store, { onUpdate: 'CASCADE' })
  @JoinColumn({ referencedColumnName: 'slug' })
  store!: Relation<Store>;
}

@Entity()
@CounterCache<Order, Store>({ relation: 'store', column: 'ordersCount', recalculation: false })
class Order {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Store) store!: Relation<Store>;
}

const TRUTHS: readonly Truth[] = [
  { table: 'topic', columns: { '"pagesCount"': '(SELECT count(*) FROM page p WHERE p."topicCode" = t.code)' } },
  {
    table: 'store',
    columns: {
      '"visitsCount"': '(SELECT count(*) FROM visit v WHERE v."storeSlug" = t.slug)',
      '"ordersCount"': '(SELECT count(*) FROM "order" o WHERE o."storeId" = t.id)',
    },
  },
];

const INITIAL = ['a', 'b', 'c'];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Topic, Page, Store, Visit, Order] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('targets that change their key, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Page, Visit, Order, Topic, Store]);
    await manager().save(
      Topic,
      INITIAL.map((code) => ({ code })),
    );
    await manager().save(
      Store,
      INITIAL.map((slug) => ({ slug })),
    );
    await expectWorkerRight(fixture);
  });
  // A worker mends what is pending by itself; only then a recount is asked whether it agrees.
  afterEach(async () => {
    await expectWorkerRight(fixture);
    await expectRight(fixture, TRUTHS);
  });

  const pages = (topic: string, count: number) => Array.from({ length: count }, () => ({ topic: { code: topic } }));
  const rename = (from: string, to: string): Promise<unknown> => manager().update(Topic, { code: from }, { code: to });

  test('by update(), with nothing pending', async () => {
    await manager().insert(Page, pages('a', 3));
    await fixture.counters.flush();
    await rename('a', 'z');
    expect(await manager().findOneByOrFail(Topic, { code: 'z' })).toMatchObject({ pagesCount: 3 });
  });

  test('by update(), with deltas pending before and after', async () => {
    await manager().insert(Page, pages('a', 3));
    await fixture.counters.settled();
    await rename('a', 'z');
    await manager().insert(Page, pages('z', 2));
    await manager().delete(Page, { topic: { code: 'b' } });
    expect(await manager().countBy(Page, { topic: { code: 'z' } })).toBe(5);
  });

  test('by an expression, several targets at once', async () => {
    await manager().insert(Page, [...pages('a', 3), ...pages('b', 1)]);
    await manager()
      .createQueryBuilder()
      .update(Topic)
      .set({ code: () => `code || '/' || code` })
      .where({ code: In(['a', 'b']) })
      .execute();
    await manager().insert(Page, pages('b/b', 1));
    expect((await manager().find(Topic, { order: { code: 'ASC' } })).map(({ code }) => code)).toEqual([
      'a/a',
      'b/b',
      'c',
    ]);
  });

  test('and exchange them in one transaction', async () => {
    await manager().insert(Page, [...pages('a', 3), ...pages('b', 1)]);
    await fixture.counters.settled();
    await fixture.dataSource.transaction(async (inner) => {
      await inner.insert(Page, pages('a', 5));
      await inner.update(Topic, { code: 'a' }, { code: 'tmp' });
      await inner.update(Topic, { code: 'b' }, { code: 'a', title: 'was b' });
      await inner.update(Topic, { code: 'tmp' }, { code: 'b', title: 'was a' });
      await inner.insert(Page, pages('b', 1));
    });
    await expectWorkerRight(fixture);
    expect(await manager().findOneByOrFail(Topic, { title: 'was a' })).toMatchObject({ code: 'b', pagesCount: 9 });
    expect(await manager().findOneByOrFail(Topic, { title: 'was b' })).toMatchObject({ code: 'a', pagesCount: 1 });
  });

  test('and another takes the key that is free', async () => {
    await manager().insert(Page, pages('a', 3));
    await rename('a', 'z');
    await manager().insert(Topic, { code: 'a' });
    await manager().insert(Page, pages('a', 1));
    await rename('z', 'y');
    await rename('a', 'z');
    await expectWorkerRight(fixture);
    expect(await manager().findOneByOrFail(Topic, { code: 'z' })).toMatchObject({ pagesCount: 1 });
  });

  test('but are rolled back, wholly or to a savepoint', async () => {
    const failure = new Error('rolled back');
    const renames = fixture.dataSource.transaction(async (inner) => {
      await inner.insert(Page, pages('a', 1));
      await inner.update(Topic, { code: 'a' }, { code: 'z' });
      throw failure;
    });
    await expect(renames).rejects.toBe(failure);
    await fixture.dataSource.transaction(async (inner) => {
      await inner.insert(Page, pages('a', 2));
      const nested = inner.transaction(async (deeper) => {
        await deeper.update(Topic, { code: 'a' }, { code: 'z' });
        await deeper.insert(Page, pages('z', 4));
        throw failure;
      });
      await expect(nested).rejects.toBe(failure);
      await inner.update(Topic, { code: 'b' }, { code: 'y' });
      await inner.insert(Page, pages('y', 1));
    });
  });

  test('to the key they have', async () => {
    await manager().insert(Page, pages('a', 2));
    await rename('a', 'a');
    expect(await fixture.counters.flush()).toMatchObject({ targets: 1 });
  });

  test('one of two keys by which counters reach them', async () => {
    const [store] = await manager().findBy(Store, { slug: 'a' });
    if (store === undefined) throw new Error('no store');
    await manager().insert(Visit, [{ store }, { store }]);
    await manager().insert(Order, [{ store }]);
    await fixture.counters.settled();
    await manager().save(Object.assign(store, { slug: 'moved' }));
    await manager().insert(Visit, { store });
    await manager().insert(Order, { store });
    await expectWorkerRight(fixture);
    expect(await manager().findOneByOrFail(Store, { slug: 'moved' })).toMatchObject({ visitsCount: 3, ordersCount: 2 });
  });

  test('while a worker runs and others write', async () => {
    const worker = await fixture.counters.startWorker();
    const refused: string[] = [];
    const over = new AbortController();
    let name = 'a';
    let written = 0;
    const writers = [1, 2].map(async () => {
      while (!over.signal.aborted) {
        const write = manager().insert(Page, [...pages(name, 1), ...pages('b', 1)]);
        await write.then(
          () => (written += 1),
          (error: unknown) => refused.push(String(error)),
        );
      }
    });
    for (let round = 0; round < 12; round++) {
      const next = round % 3 === 2 ? 'a' : `a${round}`;
      await rename(name, next);
      name = next;
      const before = written;
      await until(() => written > before);
    }
    over.abort();
    await Promise.all(writers);
    // A page whose topic has another name by now: the database refuses it, as it should.
    expect(refused.filter((error) => !error.includes('foreign key'))).toEqual([]);
    await untilIdle(fixture);
    await worker.close();
  });
});
