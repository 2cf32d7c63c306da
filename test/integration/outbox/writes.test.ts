import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { waitingRows, wrongAuthors } from './outbox';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { mode: 'outbox', wait: 600_000, sweepInterval: 600_000 },
  });
});
afterEach(async () => {
  await fixture.counters.flush();
  expect(await wrongAuthors(fixture)).toEqual([]);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

const newAuthor = async (): Promise<number> => (await fixture.dataSource.manager.save(Author, { name: 'a' })).id;
const countOf = async (id: number): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;

describe("mode 'outbox'", () => {
  test('deltas are rows of the transaction that made them', async () => {
    const id = await newAuthor();
    await fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, [{ authorId: id }, { authorId: id, published: true }]);
    });
    expect(await waitingRows(fixture)).toBe(2);
    expect(await fixture.counters.status()).toMatchObject({
      dirty: 1,
      intents: 0,
      oldestDue: expect.any(Number) as number,
    });
    expect(await countOf(id)).toBe(0);
    expect(await fixture.counters.flush()).toEqual({ batches: 1, targets: 1, unapplied: 0, updates: 1 });
    expect(await countOf(id)).toBe(2);
    expect(await waitingRows(fixture)).toBe(0);
  });

  test('nothing of a rollback, or of a savepoint that was rolled back, is left', async () => {
    const id = await newAuthor();
    const aborted = fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: id });
      throw new Error('abort');
    });
    await expect(aborted).rejects.toThrow('abort');
    await fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: id });
      await manager
        .transaction(async (inner) => {
          await inner.insert(Post, [{ authorId: id }, { authorId: id }]);
          throw new Error('inner');
        })
        .catch(() => undefined);
    });
    await fixture.counters.flush();
    expect(await countOf(id)).toBe(1);
  });

  test('a transaction whose deltas cancel out writes no row', async () => {
    const id = await newAuthor();
    const { identifiers } = await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.flush();
    await fixture.dataSource.transaction(async (manager) => {
      await manager.update(Post, identifiers[0] ?? {}, { likes: 4 });
      await manager.update(Post, identifiers[0] ?? {}, { likes: 0 });
    });
    expect(await waitingRows(fixture)).toBe(0);
  });

  test('COMMIT of an aborted transaction is answered with ROLLBACK, and nothing is written', async () => {
    const id = await newAuthor();
    await fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: id });
      await manager.query('SELECT 1 / 0').catch(() => undefined);
    });
    expect(await waitingRows(fixture)).toBe(0);
    expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(0);
  });

  test('a write that is captured while COMMIT is prepared is counted once', async () => {
    const id = await newAuthor();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Post, { authorId: id });
    const late = runner.manager.insert(Post, { authorId: id });
    await runner.commitTransaction();
    await late;
    await runner.release();
    expect(await fixture.counters.read(Author, id, 'postsCount')).toBe(2);
  });

  test('what is rolled back while COMMIT is prepared is not counted', async () => {
    const id = await newAuthor();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Post, { authorId: id });
    await runner.query('SAVEPOINT s');
    await runner.manager.insert(Post, [{ authorId: id }, { authorId: id }]);
    const undone = runner.query('ROLLBACK TO SAVEPOINT s');
    await runner.commitTransaction();
    await undone;
    await runner.release();
    expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(1);
    expect(await fixture.counters.read(Author, id, 'postsCount')).toBe(1);
  });

  test('a row that cannot be written rejects the write', async () => {
    const id = await newAuthor();
    await fixture.dataSource.query('ALTER TABLE counter_cache_outbox ADD CONSTRAINT closed CHECK (false)');
    await expect(fixture.dataSource.manager.insert(Post, { authorId: id })).rejects.toThrow('closed');
    expect(await fixture.dataSource.manager.count(Post)).toBe(0);
    await fixture.dataSource.query('ALTER TABLE counter_cache_outbox DROP CONSTRAINT closed');
  });

  test('read() adds what waits', async () => {
    const [one, two] = [await newAuthor(), await newAuthor()];
    await fixture.dataSource.manager.insert(Post, [
      { authorId: one, likes: 3 },
      { authorId: one, likes: 4 },
    ]);
    await fixture.counters.flush();
    const post = await fixture.dataSource.manager.save(Post, { authorId: one, likes: 5 });
    await fixture.dataSource.manager.update(Post, { id: post.id }, { authorId: two });
    expect(await fixture.counters.read(Author, [one, two], 'likesSum')).toEqual(
      new Map([
        [one, 7],
        [two, 5],
      ]),
    );
    expect(await waitingRows(fixture)).toBeGreaterThan(0);
  });

  test('flush() of some targets leaves the others', async () => {
    const [one, two] = [await newAuthor(), await newAuthor()];
    await fixture.dataSource.manager.insert(Post, [{ authorId: one }, { authorId: two }]);
    await fixture.counters.flush({ target: Author, ids: [one] });
    expect([await countOf(one), await countOf(two)]).toEqual([1, 0]);
    await fixture.counters.flush({ target: Author });
    expect(await countOf(two)).toBe(1);
  });
});
