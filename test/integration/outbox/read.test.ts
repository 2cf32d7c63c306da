import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { untilDrained, wrongAuthors } from './outbox';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { mode: 'outbox', wait: 1, window: 1, sweepInterval: 5 },
    worker: true,
  });
});
afterAll(async () => {
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

test('read() is exact after every write, while a worker drains and recounts correct the column', async () => {
  const { manager } = fixture.dataSource;
  const { id } = await manager.save(Author, { name: 'a' });
  const stop = new AbortController();
  const recounting = (async () => {
    while (!stop.signal.aborted) await fixture.counters.recalculate({ target: Author, ids: [id] });
  })();
  const read: unknown[] = [];
  for (let i = 0; i < 150; i++) {
    await manager.insert(Post, { authorId: id });
    read.push(await fixture.counters.read(Author, id, 'postsCount'));
  }
  stop.abort();
  await recounting;
  expect(read).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
  await untilDrained(fixture);
  expect(await wrongAuthors(fixture)).toEqual([]);
});

test('read() of many, and of a row that does not exist', async () => {
  const { manager } = fixture.dataSource;
  const authors = await manager.save(
    Author,
    Array.from({ length: 40 }, () => ({ name: 'a' })),
  );
  const ids = authors.map(({ id }) => id);
  await manager.insert(
    Post,
    ids.map((authorId, i) => ({ authorId, likes: i })),
  );
  const likes = await fixture.counters.read(Author, [...ids, 999_999], 'likesSum');
  expect([...likes.values()]).toEqual([...ids.keys(), null]);
});
