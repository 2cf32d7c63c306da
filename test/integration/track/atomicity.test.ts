import { Post, setupWriters, Writer, type Writers } from './writers';

let writers: Writers;
let one: Writer;

beforeAll(async () => {
  writers = await setupWriters();
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  one = await manager.save(manager.create(Writer));
});
afterEach(() => expect(writers.errors).toEqual([]));
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();

const insertPost = (): string => `INSERT INTO post ("writerId") VALUES (${one.id})`;
const postsOf = (writer: Writer): Promise<number> =>
  writers.dataSource.manager.countBy(Post, { writer: { id: writer.id } });

describe('work of counters.track that throws', () => {
  test.each([
    ['raw SQL', (sql: string) => sql],
    ['TypeORM', () => null],
  ])('is undone, though the caller goes on and commits: %s', async (_, sql) => {
    await writers.dataSource.transaction(async (own) => {
      await own.insert(Post, { writer: one });
      const work = writers.counters.track(own, Post, { writer: { id: one.id } }, async (inner) => {
        const raw = sql(insertPost());
        await (raw === null ? inner.insert(Post, { writer: one }) : inner.query(raw));
        throw new Error('after');
      });
      await expect(work).rejects.toThrow('after');
      await own.insert(Post, { writer: one });
    });
    expect(await postsOf(one)).toBe(2);
    await expectExact();
  });

  test('by an SQL error leaves the transaction usable, also when the work swallows it', async () => {
    const { manager } = writers.dataSource;
    await manager.transaction(async (own) => {
      await own.insert(Post, { writer: one });
      const failing = writers.counters.track(own, Post, {}, (inner) => inner.query('SELECT 1 / 0'));
      await expect(failing).rejects.toThrow('division by zero');
      const swallowing = writers.counters.track(own, Post, {}, async (inner) => {
        await inner.query(insertPost());
        await inner.query('SELECT 1 / 0').catch(() => undefined);
      });
      await expect(swallowing).rejects.toMatchObject({ code: '25P02' });
      await own.insert(Post, { writer: one });
    });
    expect(await postsOf(one)).toBe(2);
    await expectExact();
  });

  test('throws its own error when the transaction was over before', async () => {
    const work = writers.dataSource.transaction((own) =>
      writers.counters.track(own, Post, {}, async (inner) => {
        await inner.query(insertPost());
        await inner.query('ROLLBACK');
        throw new Error('after');
      }),
    );
    await expect(work).rejects.toThrow('after');
    await expectExact();
  });

  test('keeps what another connection wrote meanwhile', async () => {
    const { manager } = writers.dataSource;
    const work = writers.counters.track(manager, Post, { writer: { id: one.id } }, async () => {
      await manager.insert(Post, { writer: one });
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await postsOf(one)).toBe(1);
    await expectExact();
  });

  test('inside other such work is undone alone', async () => {
    const { manager } = writers.dataSource;
    await writers.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await own.query(insertPost());
      const inner = writers.counters.track(own, Post, { writer: { id: one.id } }, async (most) => {
        await most.query(insertPost());
        await most.query('SAVEPOINT mine');
        throw new Error('inner');
      });
      await expect(inner).rejects.toThrow('inner');
      await own.insert(Post, { writer: one });
    });
    expect(await postsOf(one)).toBe(2);
    await expectExact();
  });
});

describe('counters.track in a transaction begun by raw SQL', () => {
  test.each(['COMMIT', 'ROLLBACK'])('is part of it: %s', async (end) => {
    const runner = writers.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await writers.counters.track(runner.manager, Post, { writer: { id: one.id } }, (inner) =>
      inner.query(insertPost()),
    );
    await runner.query(end);
    await runner.release();
    expect(await postsOf(one)).toBe(end === 'COMMIT' ? 1 : 0);
    await expectExact();
  });

  test('refuses a released manager, and runs inside skip()', async () => {
    const { dataSource, counters } = writers;
    const runner = dataSource.createQueryRunner();
    await runner.connect();
    await runner.release();
    await expect(counters.track(runner.manager, Post, {}, async () => 1)).rejects.toThrow(/released/);
    await counters.skip(() =>
      counters.track(dataSource.manager, Post, { writer: { id: one.id } }, (own) => own.query(insertPost())),
    );
    await expectExact();
  });
});
