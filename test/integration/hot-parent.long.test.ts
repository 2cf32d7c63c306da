import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

import { redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { installationOf } from './internals';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({
    entities: [Author, Post],
    counters: { wait: 8_000, window: 1_000, sweepInterval: 120_000 },
    dataSource: { poolSize: 32 },
  });
});
afterAll(() => fixture.close());

test('1,000 creates under one parent by 32 clients: one reconcile job, one UPDATE, one recalculation job', async () => {
  const { dataSource, counters } = fixture;
  const { id } = await dataSource.manager.save(Author, { name: 'hot' });
  await Promise.all(
    Array.from({ length: 32 }, async (_, client) => {
      for (let i = client; i < 1_000; i += 32) await dataSource.manager.save(Post, { authorId: id });
    }),
  );
  await counters.settled();
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  const queue = new Queue(`cc-${await installationOf(dataSource)}`, { connection });
  const delayed = await queue.getDelayed();
  expect(delayed.map(({ name }) => name).toSorted()).toEqual(['recalculate', 'reconcile']);

  const updates: number[] = [];
  counters.on('reconciled', (event) => updates.push(event.updates));
  await counters.startWorker();
  await until(async () => (await counters.status()).dirty === 0);
  await until(async () => (await counters.status()).batches === 0);
  expect(updates).toEqual([1]);
  expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1_000 });
  expect((await queue.getDelayed()).map(({ name }) => name)).toEqual(['recalculate']);
  await queue.close();
  await connection.quit();
  expect(fixture.errors).toEqual([]);
});
