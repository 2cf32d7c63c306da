import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { untilDrained, wrongAuthors } from './outbox';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], counters: { mode: 'outbox', wait: 5, window: 5 } });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

const newAuthor = async (): Promise<number> => (await fixture.dataSource.manager.save(Author, { name: 'a' })).id;
const countOf = async (id: number): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
const spoil = (id: number, value: number): Promise<unknown> =>
  fixture.dataSource.query('UPDATE author SET "postsCount" = $2 WHERE id = $1', [id, value]);

/** Clients that write to one author until told to stop; resolves to how many posts there are then. */
function writers(id: number, stop: AbortSignal): Promise<number> {
  const { manager } = fixture.dataSource;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    let written = 0;
    while (!stop.aborted || written < 5) {
      await manager.save(Post, { authorId: id, likes: client, published: client % 2 === 0 });
      written += 1;
    }
    return written;
  });
  return Promise.all(clients).then((counts) => counts.reduce((sum, count) => sum + count, 0));
}

describe('I6: recalculation with deltas in the outbox', () => {
  test('knows what waits, and what of it is wrong', async () => {
    const id = await newAuthor();
    for (let i = 0; i < 3; i++) await fixture.dataSource.manager.insert(Post, { authorId: id });
    const only = { target: Author, ids: [id] };
    expect(await fixture.counters.verify(only)).toMatchObject({ checked: 1, fixedCount: 0 });
    await spoil(id, 100);
    expect(await fixture.counters.verify(only)).toMatchObject({ fixed: [{ wrong: '103', right: '3' }] });
    expect(await fixture.counters.recalculate(only)).toMatchObject({ fixed: [{ wrong: '103', right: '3' }] });
    expect(await countOf(id)).toBe(3);
    await fixture.counters.flush();
    expect(await countOf(id)).toBe(3);
  });

  test.each([false, true])('while 8 clients write, a worker draining beside it: %s', async (draining) => {
    const worker = draining ? await fixture.counters.startWorker() : null;
    for (let round = 0; round < 6; round++) {
      const id = await newAuthor();
      const only = { target: Author, ids: [id] };
      const stop = new AbortController();
      const total = writers(id, stop.signal);
      const untouched = await fixture.counters.verify(only);
      await spoil(id, 1_000_000);
      const first = await fixture.counters.recalculate(only);
      const further = await Promise.all([fixture.counters.recalculate(only), fixture.counters.verify(only)]);
      stop.abort();
      const posts = await total;
      const after = await fixture.counters.recalculate(only);
      expect(untouched).toMatchObject({ checked: 1, fixedCount: 0 });
      expect(first).toMatchObject({ checked: 1, fixedCount: 1, unsettled: [] });
      expect([...further, after].map(({ fixedCount }) => fixedCount)).toEqual([0, 0, 0]);
      await fixture.counters.flush();
      await untilDrained(fixture);
      expect(await countOf(id)).toBe(posts);
    }
    await worker?.close();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });

  test('of a row that the database had refused: the correction comes first, then what was refused', async () => {
    const id = await newAuthor();
    await fixture.dataSource.query('ALTER TABLE author ADD CONSTRAINT few CHECK ("postsCount" < 10) NOT VALID');
    try {
      await spoil(id, 9);
      await fixture.dataSource.manager.insert(Post, [{ authorId: id }, { authorId: id }]);
      await fixture.counters.flush();
      expect((await fixture.counters.status()).failed).toHaveLength(1);
      const only = { target: Author, ids: [id] };
      expect(await fixture.counters.verify(only)).toMatchObject({ fixed: [{ wrong: '11', right: '2' }] });
      expect((await fixture.counters.status()).failed).toHaveLength(1);
      expect(await fixture.counters.recalculate(only)).toMatchObject({ failed: [] });
      expect(await countOf(id)).toBe(2);
      expect(await fixture.counters.status()).toMatchObject({ dirty: 0, failed: [] });
    } finally {
      await fixture.dataSource.query('ALTER TABLE author DROP CONSTRAINT few');
    }
  });
});
