import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';

let fixture: Fixture;
let ids: number[];

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post] });
  ids = (await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }, { name: 'c' }])).map(
    ({ id }) => id,
  );
  for (const authorId of ids) await fixture.dataSource.manager.save(Post, { authorId, likes: 1, published: true });
  await fixture.counters.flush();
  await fixture.dataSource.query('UPDATE author SET "postsCount" = 99');
});
afterEach(() => fixture.close());

const countsOf = async (): Promise<number[]> =>
  (await fixture.dataSource.manager.find(Author, { order: { id: 'ASC' } })).map(({ postsCount }) => postsCount);

const isRebuilt = async (): Promise<boolean> => {
  const [row] = await fixture.dataSource.query<{ left: string }[]>(
    'SELECT count(*) AS left FROM counter_cache_shard WHERE rebuilding IS NOT NULL',
  );
  return row?.left === '0';
};

describe('a rebuilding whose finder died', () => {
  test('is finished by whoever sweeps next', async () => {
    await fixture.dataSource.query(`UPDATE counter_cache_shard SET rebuilding = '{}'`);
    expect((await fixture.counters.status()).recalculations).toBeGreaterThan(0);
    await fixture.counters.startWorker();
    await until(async () => (await isRebuilt()) && (await countsOf()).every((count) => count === 1));
    expect(fixture.errors).toEqual([]);
  });

  test('goes on from where it stood', async () => {
    const cursor = { tableId: 'author:id', after: [String(ids[1])] };
    await fixture.dataSource.query('UPDATE counter_cache_shard SET rebuilding = $1', [JSON.stringify(cursor)]);
    await fixture.counters.startWorker();
    await until(async () => (await isRebuilt()) && (await countsOf())[2] === 1);
    expect(await countsOf()).toEqual([99, 99, 1]);
  });

  test('is no trouble to two workers at once', async () => {
    await fixture.dataSource.query(`UPDATE counter_cache_shard SET rebuilding = '{}'`);
    await Promise.all([fixture.counters.startWorker(), fixture.counters.startWorker()]);
    await until(async () => (await isRebuilt()) && (await countsOf()).every((count) => count === 1));
    expect(fixture.errors).toEqual([]);
  });
});
