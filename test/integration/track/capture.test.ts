import { Post, setupWriters, Writer, type Writers } from './writers';

let writers: Writers;
let one: Writer;
let two: Writer;

beforeAll(async () => {
  writers = await setupWriters();
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  [one, two] = (await manager.save([manager.create(Writer), manager.create(Writer)])) as [Writer, Writer];
});
afterEach(async () => {
  await expectExact();
  expect(writers.errors).toEqual([]);
});
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();
const expectExactOnceIdle = (): Promise<void> => writers.expectExactOnceIdle();

const insertPost = (): string => `INSERT INTO post ("writerId") VALUES (${one.id})`;
const countOf = async (writer: Writer): Promise<number | undefined> => {
  await writers.counters.flush();
  return (await writers.dataSource.manager.findOneBy(Writer, { id: writer.id }))?.postsCount;
};

describe('what TypeORM writes inside counters.track', () => {
  test('counts once, before and after raw SQL that changes the same rows', async () => {
    const { manager } = writers.dataSource;
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await own.insert(Post, [{ writer: one }, { writer: one, likes: 4 }]);
      await own.query('UPDATE post SET likes = likes + 10 WHERE "writerId" = $1', [one.id]);
      await own.update(Post, { likes: 11 }, { likes: 3 });
      await own.query(insertPost());
      await own.delete(Post, { likes: 14 });
    });
    expect(await countOf(one)).toBe(2);
  });

  test('counts where it matches neither before nor after, and raw SQL undoes it', async () => {
    const { manager } = writers.dataSource;
    await writers.counters.track(manager, Post, { status: 'tracked' }, async (own) => {
      const { identifiers } = await own.insert(Post, [{ writer: one }, { writer: one }, { writer: two }]);
      await own.query('DELETE FROM post WHERE id = $1', [identifiers[0]?.['id']]);
      await own.query('UPDATE post SET "writerId" = $1 WHERE id = $2', [two.id, identifiers[1]?.['id']]);
    });
    expect([await countOf(one), await countOf(two)]).toEqual([0, 2]);
  });

  test('counts under the keys it gives to tracked rows', async () => {
    const { manager } = writers.dataSource;
    const [first, second] = await manager.save([
      manager.create(Post, { writer: one }),
      manager.create(Post, { writer: one, status: 'tracked' }),
    ]);
    await writers.counters.track(manager, Post, { status: 'tracked' }, async (own) => {
      await own.update(Post, { id: second?.id }, { id: 1_000_001, status: 'renamed' });
      await own.update(Post, { id: first?.id }, { id: 1_000_002 });
      await own.query('UPDATE post SET "writerId" = $1 WHERE id = 1000001', [two.id]);
    });
    expect([await countOf(one), await countOf(two)]).toEqual([1, 1]);
  });

  test('counts in other tables, and in a transaction of its own', async () => {
    const { manager } = writers.dataSource;
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await own.query(insertPost());
      await own.save(own.create(Writer));
      await manager.insert(Post, { writer: two });
    });
    expect([await countOf(one), await countOf(two)]).toEqual([1, 1]);
  });

  test('is recounted where raw SQL made the row, and it is gone again', async () => {
    const { manager } = writers.dataSource;
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await own.query(insertPost());
      await own.delete(Post, { writer: { id: one.id } });
    });
    await expectExactOnceIdle();
  });
});

describe('counters.track inside counters.track', () => {
  test('counts rows that both look at once', async () => {
    const { manager } = writers.dataSource;
    await manager.insert(Post, [{ writer: one }, { writer: one }]);
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, (own) =>
      writers.counters.track(own, Post, { status: 'draft' }, (inner) =>
        inner.query('DELETE FROM post WHERE "writerId" = $1', [one.id]),
      ),
    );
    expect(await countOf(one)).toBe(0);
  });

  test('counts what only one of them looks at', async () => {
    const { manager } = writers.dataSource;
    await manager.insert(Post, [{ writer: one }, { writer: two }]);
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await writers.counters.track(own, Post, { writer: { id: two.id } }, (inner) =>
        inner.query('UPDATE post SET "writerId" = $1 WHERE "writerId" = $2', [one.id, two.id]),
      );
      await own.query('UPDATE post SET likes = 5 WHERE "writerId" = $1', [one.id]);
    });
    expect([await countOf(one), await countOf(two)]).toEqual([2, 0]);
  });
});

describe('the rows of counters.track', () => {
  test('are found by relations, lists of conditions, and though they are soft-deleted', async () => {
    const { manager } = writers.dataSource;
    await manager.update(Writer, { id: one.id }, { name: 'named' });
    await manager.insert(Post, [{ writer: one }, { writer: one }]);
    await manager.softDelete(Post, { writer: { id: one.id } });
    expect(await countOf(one)).toBe(0);
    const where = [{ writer: { name: 'named' } }, { writer: { name: 'nobody' } }];
    await writers.counters.track(manager, Post, where, (own) =>
      own.query('UPDATE post SET "deletedAt" = NULL WHERE "writerId" = $1', [one.id]),
    );
    expect(await countOf(one)).toBe(2);
  });

  test('may be 20,000', async () => {
    const { manager } = writers.dataSource;
    const ids = [one.id, two.id];
    const insert = `INSERT INTO post ("writerId", status) SELECT $1, 'many' FROM generate_series(1, 20000)`;
    await writers.counters.track(manager, Post, { status: 'many' }, (own) => own.query(insert, [one.id]));
    expect(await countOf(one)).toBe(20_000);
    await writers.counters.track(manager, Post, { status: 'many' }, (own) =>
      own.query('UPDATE post SET "writerId" = $2 WHERE "writerId" = $1', ids),
    );
    expect([await countOf(one), await countOf(two)]).toEqual([0, 20_000]);
  });
});
