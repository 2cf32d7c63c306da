import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { onInsert, waitingRows, wrongAuthors } from './outbox';

let fixture: Fixture;
let one: number;
let other: number;

beforeEach(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { mode: 'outbox', wait: 600_000, sweepInterval: 600_000 },
  });
  const { manager } = fixture.dataSource;
  [{ id: one }, { id: other }] = (await manager.save(Author, [{ name: 'a' }, { name: 'b' }])) as [Author, Author];
  // From the first insert on it is known what the database does to new rows.
  await manager.insert(Post, { authorId: one });
  await fixture.counters.flush();
});
afterEach(async () => {
  await fixture.counters.settled();
  await fixture.counters.flush();
  expect(await wrongAuthors(fixture)).toEqual([]);
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

/** How many rows of the outbox some work adds. */
async function rowsOf(work: () => Promise<unknown>): Promise<number> {
  const before = await waitingRows(fixture);
  await work();
  return (await waitingRows(fixture)) - before;
}

describe('deltas in the statement that makes them', () => {
  test('are one row per column of a target, whatever the rows', async () => {
    const { manager } = fixture.dataSource;
    const posts = (): object[] => [
      { authorId: one, published: true, likes: 3 },
      { authorId: one, likes: 4 },
      { authorId: null },
      { author: { id: other } },
    ];
    expect(await rowsOf(() => manager.insert(Post, posts()))).toBe(4);
    expect(await rowsOf(() => manager.save(Post, posts()))).toBe(4);
  });

  test('are gone with a statement that fails, a savepoint and a transaction that is rolled back', async () => {
    const { dataSource } = fixture;
    const rows = await rowsOf(async () => {
      await expect(dataSource.manager.insert(Post, { authorId: -1 })).rejects.toThrow('foreign key');
      await dataSource.transaction(async (manager) => {
        await manager.save(Post, { authorId: one });
        await manager
          .transaction(async (inner) => {
            await inner.save(Post, { authorId: other });
            throw new Error('inner');
          })
          .catch(() => undefined);
      });
      const aborted = dataSource.transaction(async (manager) => {
        await manager.save(Post, { authorId: one });
        throw new Error('abort');
      });
      await expect(aborted).rejects.toThrow('abort');
    });
    expect(rows).toBe(1);
  });

  test('wake a worker when they are due, in and outside of a transaction', async () => {
    await fixture.close();
    fixture = await setup({
      entities: [Author, Post],
      counters: { mode: 'outbox', wait: 20, window: 10, sweepInterval: 600_000 },
    });
    const { manager } = fixture.dataSource;
    const worker = await fixture.counters.startWorker();
    ({ id: one } = await manager.save(Author, { name: 'a' }));
    const isCounted = async (count: number): Promise<boolean> =>
      (await manager.findOneByOrFail(Author, { id: one })).postsCount === count;
    await manager.insert(Post, { authorId: one });
    await until(() => isCounted(1));
    await manager.insert(Post, { authorId: one });
    await until(() => isCounted(2));
    await manager.save(Post, { authorId: one });
    await until(() => isCounted(3));
    await worker.close();
  });

  test('may be written without BEGIN: not one of 200 at a time is lost', async () => {
    const { manager } = fixture.dataSource;
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => manager.insert(Post, { authorId: i % 2 === 0 ? one : other, likes: i })),
    );
    expect(await waitingRows(fixture)).toBe(398 + 1);
  });
});

describe('a database that makes other rows than it was given', () => {
  const changes = 'IF NEW.likes = 7 THEN NEW."authorId" = 2; NEW.likes = 8; END IF; RETURN NEW;';
  const drops = 'IF NEW.likes = 7 THEN RETURN NULL; END IF; RETURN NEW;';

  test.each([
    ['changes them', changes],
    ['drops them', drops],
  ])('%s: what was foreseen is corrected in the transaction', async (_, body) => {
    const { dataSource } = fixture;
    await onInsert(fixture, 'BEFORE', 'post', body);
    await dataSource.transaction(async (manager) => {
      await manager.insert(Post, [
        { authorId: one, likes: 7 },
        { authorId: one, likes: 1 },
      ]);
    });
    await dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: one, likes: 7 });
    });
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });

  test.each([
    ['changes them', changes],
    ['drops them', drops],
  ])('%s: a trigger that came later is noticed by what a statement by itself returns', async (_, body) => {
    const { manager } = fixture.dataSource;
    await onInsert(fixture, 'BEFORE', 'post', body);
    await manager.insert(Post, { authorId: one, likes: 7 });
    await fixture.counters.settled();
    await fixture.counters.flush();
    await fixture.counters.startWorker();
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    // From then on every insert has a transaction, and is counted as it came out.
    await manager.insert(Post, [
      { authorId: one, likes: 7 },
      { authorId: one, likes: 1 },
    ]);
  });

  test('drops all rows of a statement within a transaction that had captured nothing before', async () => {
    const { dataSource } = fixture;
    await onInsert(fixture, 'BEFORE', 'post', drops);
    const rows = await rowsOf(() =>
      dataSource.transaction(async (manager) => {
        await manager.insert(Post, { authorId: one, likes: 7 });
      }),
    );
    // What was foreseen, and what takes it back.
    expect(rows).toBe(4);
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });

  test('is known from the first insert on, when it did so before', async () => {
    await fixture.close();
    fixture = await setup({
      entities: [Author, Post],
      counters: { mode: 'outbox', wait: 600_000, sweepInterval: 600_000 },
    });
    const { manager } = fixture.dataSource;
    [{ id: one }, { id: other }] = (await manager.save(Author, [{ name: 'a' }, { name: 'b' }])) as [Author, Author];
    await onInsert(fixture, 'BEFORE', 'post', changes);
    for (let i = 0; i < 3; i++) await manager.insert(Post, { authorId: one, likes: 7 });
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });
});
