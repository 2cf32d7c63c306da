import { type Fixture, setup } from '../support/setup';
import { Author, Post, TRUTH } from './blog';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());

interface TruthRow {
  postsCount: number;
  publishedCount: number;
  likesSum: number;
  posts: number;
  published: number;
  likes: number;
}

async function expectTruth(): Promise<void> {
  await fixture.counters.flush();
  const rows: TruthRow[] = await fixture.dataSource.query(TRUTH);
  expect(rows.map((row) => [row.postsCount, row.publishedCount, row.likesSum])).toEqual(
    rows.map((row) => [row.posts, row.published, row.likes]),
  );
  expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
  expect(fixture.errors).toEqual([]);
}

test('every way to write a row counts it', async () => {
  const { manager } = fixture.dataSource;
  const [ann, bob] = await manager.save(Author, [{ name: 'ann' }, { name: 'bob' }]);
  if (ann === undefined || bob === undefined) throw new Error('no authors');
  const posts = await manager.save(Post, [
    manager.create(Post, { author: ann, likes: 3 }),
    manager.create(Post, { authorId: ann.id, published: true }),
    manager.create(Post, { authorId: null, likes: 9 }),
  ]);
  await expectTruth();

  await manager.insert(Post, [{ authorId: bob.id, published: true, likes: 2 }, { authorId: bob.id }]);
  await expectTruth();

  await manager.update(Post, { authorId: ann.id }, { published: true, likes: () => 'likes + 5' });
  await expectTruth();

  const [first, second] = posts;
  if (first === undefined || second === undefined) throw new Error('no posts');
  first.author = bob;
  await manager.save(first);
  second.author = null;
  second.authorId = null;
  await manager.save(second);
  await expectTruth();

  await manager.softRemove(first);
  await expectTruth();
  await manager.softDelete(Post, { authorId: bob.id });
  await expectTruth();
  await manager.restore(Post, { id: first.id });
  await expectTruth();
  await manager.increment(Post, { id: first.id }, 'likes', 7);
  await expectTruth();
  await manager.delete(Post, { authorId: bob.id });
  await manager.remove(second);
  await expectTruth();
});
