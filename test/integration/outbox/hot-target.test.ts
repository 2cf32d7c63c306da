import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { waitingRows, wrongAuthors } from './outbox';

/** Rows that wait for each of three columns of one target. */
const ROWS = 15_000;

/** What looking at each row once may take on a busy machine, ms; at each row for each row it takes a minute. */
const LIMIT = 10_000;

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], counters: { mode: 'outbox', wait: 600_000 } });
});
afterAll(() => fixture.close());

test('what many transactions wrote for one target is drained in time proportional to it', async () => {
  const { dataSource, counters } = fixture;
  const { id } = await dataSource.manager.save(Author, { name: 'hot' });
  await dataSource.manager.save(Post, { authorId: id, likes: 2, published: true });
  await dataSource.query(
    `INSERT INTO post ("authorId", likes, published) SELECT $1, 2, true FROM generate_series(1, $2)`,
    [id, ROWS],
  );
  await dataSource.query(
    `INSERT INTO counter_cache_outbox (shard, target, "column", amount, touches, written_at, due, recalculate_in, repair)
     SELECT shard, target, "column", amount, touches, written_at, due, recalculate_in, repair
     FROM counter_cache_outbox, generate_series(1, $1)`,
    [ROWS],
  );
  const since = performance.now();
  await counters.flush();
  expect(performance.now() - since).toBeLessThan(LIMIT);
  expect(await waitingRows(fixture)).toBe(0);
  expect(await wrongAuthors(fixture)).toEqual([]);
});
