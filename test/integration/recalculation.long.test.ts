import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

async function newAuthor(): Promise<number> {
  return (await fixture.dataSource.manager.save(Author, { name: 'a' })).id;
}

async function countOf(id: number): Promise<number> {
  return (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
}

/** Makes a column wrong behind the library's back. */
async function spoil(id: number, value: number): Promise<void> {
  await fixture.dataSource.query('UPDATE author SET "postsCount" = $2 WHERE id = $1', [id, value]);
}

describe('I6: recalculation', () => {
  test('with 7 deltas pending gives the true count after the flush, not +7', async () => {
    const id = await newAuthor();
    for (let i = 0; i < 7; i++) await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.settled();
    expect(await fixture.counters.recalculate({ target: Author, ids: [id] })).toMatchObject({
      checked: 1,
      fixedCount: 0,
    });
    await fixture.counters.flush();
    expect(await countOf(id)).toBe(7);
  });

  test('corrects what is wrong, and tells what was', async () => {
    const id = await newAuthor();
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.flush();
    await spoil(id, 100);
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    const report = await fixture.counters.recalculate({ target: Author, ids: [id] });
    expect(report).toMatchObject({
      checked: 1,
      fixedCount: 1,
      fixed: [{ entity: 'Author', id: String(id), column: 'postsCount', wrong: '101', right: '2' }],
    });
    expect(await countOf(id)).toBe(2);
  });

  test('verify reports the same and changes nothing', async () => {
    const id = await newAuthor();
    await spoil(id, 3);
    expect(await fixture.counters.verify({ target: Author, ids: [id] })).toMatchObject({
      fixedCount: 1,
      fixed: [{ wrong: '3', right: '0' }],
    });
    expect(await countOf(id)).toBe(3);
    await fixture.counters.recalculate({ target: Author, ids: [id] });
    expect(await countOf(id)).toBe(0);
  });

  test('of a target while 8 clients write to it is right 20 times out of 20', async () => {
    const worker = await fixture.counters.startWorker();
    for (let round = 0; round < 20; round++) {
      const id = await newAuthor();
      await spoil(id, 1_000);
      const writing = new AbortController();
      const writers = Array.from({ length: 8 }, async () => {
        let written = 0;
        while (!writing.signal.aborted || written < 10) {
          await fixture.dataSource.manager.insert(Post, { authorId: id });
          written += 1;
        }
        return written;
      });
      const reports = [
        await fixture.counters.recalculate({ target: Author, ids: [id] }),
        ...(await Promise.all([
          fixture.counters.recalculate({ target: Author, ids: [id] }),
          fixture.counters.recalculate({ target: Author, ids: [id] }),
        ])),
      ];
      writing.abort();
      const total = (await Promise.all(writers)).reduce((sum, written) => sum + written, 0);
      await fixture.counters.flush();
      await fixture.counters.recalculate({ target: Author, ids: [id] });
      expect(reports[0]).toMatchObject({ checked: 1, fixedCount: 1, unsettled: [] });
      expect(reports.slice(1).map(({ fixedCount }) => fixedCount)).toEqual([0, 0]);
      expect(await countOf(id)).toBe(total);
    }
    await worker.close();
  });

  test('runs over all targets in steps, with progress, and resumes from a cursor', async () => {
    const ids = (
      await fixture.dataSource.manager.save(
        Author,
        Array.from({ length: 25 }, () => ({ name: 'many' })),
      )
    ).map(({ id }) => id);
    for (const id of ids) await spoil(id, 5);
    const stop = new AbortController();
    const seen: number[] = [];
    const first = await fixture.counters.recalculate({
      target: Author,
      where: { name: 'many' },
      batchSize: 10,
      signal: stop.signal,
      onProgress: ({ checked }) => {
        seen.push(checked);
        stop.abort();
      },
    });
    expect(first).toMatchObject({ checked: 10, fixedCount: 10 });
    expect(seen).toEqual([10]);
    if (first.cursor === null) throw new Error('no cursor');
    expect(
      await fixture.counters.recalculate({
        target: Author,
        where: { name: 'many' },
        batchSize: 10,
        cursor: first.cursor,
      }),
    ).toMatchObject({ checked: 15, fixedCount: 15, cursor: null });
    expect(await Promise.all(ids.map(countOf))).toEqual(ids.map(() => 0));
  });
});
