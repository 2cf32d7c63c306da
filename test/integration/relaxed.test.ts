import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';

let fixture: Fixture;

// A recalculation waits twice this long for deltas on their way.
const REDIS_TIMEOUT = 400;

beforeAll(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { durability: 'relaxed', redisTimeout: REDIS_TIMEOUT, wait: 20, window: 10 },
  });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

async function expectTruth(): Promise<void> {
  await fixture.counters.flush();
  await until(async () => (await fixture.counters.status()).batches === 0);
  const rows: Record<string, number>[] = await fixture.dataSource.query(TRUTH);
  expect(rows.map((row) => [row['postsCount'], row['publishedCount'], row['likesSum']])).toEqual(
    rows.map((row) => [row['posts'], row['published'], row['likes']]),
  );
  expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
}

describe('relaxed', () => {
  test('announces nothing, and counts what is committed only', async () => {
    const { dataSource, counters } = fixture;
    const author = await dataSource.manager.save(Author, { name: 'a' });
    const aborted = dataSource.transaction(async (manager) => {
      await manager.insert(Post, { author });
      throw new Error('abort');
    });
    await expect(aborted).rejects.toThrow('abort');
    await dataSource.transaction(async (manager) => {
      const post = await manager.save(Post, { author, likes: 2 });
      await manager.insert(Post, { author, published: true });
      expect(await counters.status()).toMatchObject({ intents: 0 });
      await manager.update(Post, { id: post.id }, { likes: 5 });
    });
    await counters.settled();
    expect(await counters.status()).toMatchObject({ dirty: 1, intents: 0 });
    await expectTruth();
    expect(await dataSource.manager.findOneByOrFail(Author, { id: author.id })).toMatchObject({
      postsCount: 2,
      likesSum: 5,
    });
  });

  test('a worker applies what is written', async () => {
    const { dataSource, counters } = fixture;
    const worker = await counters.startWorker();
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    for (let i = 0; i < 10; i++) await dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 10);
    await worker.close();
  });

  test('recalculation while 8 clients write, and right after they stop, is right', async () => {
    const { dataSource, counters } = fixture;
    const worker = await counters.startWorker();
    for (let round = 0; round < 4; round++) {
      const { id } = await dataSource.manager.save(Author, { name: 'hot' });
      const stop = new AbortController();
      const writers = Array.from({ length: 8 }, async (_, client) => {
        while (!stop.signal.aborted)
          await dataSource.manager.save(Post, { authorId: id, likes: client, published: client % 2 === 0 });
      });
      const only = { target: Author, ids: [id] };
      const during = await counters.recalculate(only);
      stop.abort();
      await Promise.all(writers);
      const after = await counters.recalculate(only);
      expect([during, after].map(({ checked, fixedCount }) => [checked, fixedCount])).toEqual([
        [1, 0],
        [1, 0],
      ]);
    }
    await worker.close();
    await expectTruth();
  });
});
