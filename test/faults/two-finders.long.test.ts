import { Redis } from 'ioredis';

import { Author, Post } from '../integration/blog';
import { installationOf } from '../integration/internals';
import { wrongAuthors } from '../integration/outbox/outbox';
import { keysOf, redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { ended, startWorkerProgram } from './programs';

let fixture: Fixture;
let redis: Redis;

beforeEach(async () => {
  redis = new Redis(redisUrl());
  fixture = await setup({ entities: [Author, Post] });
  await fixture.dataSource.manager.save(
    Author,
    Array.from({ length: 8 }, () => ({ name: 'a' })),
  );
  await write();
});
afterEach(async () => {
  redis.disconnect();
  await fixture.close();
});

async function write(): Promise<void> {
  const { manager } = fixture.dataSource;
  for (let authorId = 1; authorId <= 8; authorId++) await manager.insert(Post, { authorId, likes: authorId });
  await manager.update(Post, { authorId: 3 }, { authorId: 4 });
  await fixture.counters.settled();
}

/** As a Redis that was restarted empty. */
async function loseEverything(): Promise<void> {
  const installation = await installationOf(fixture.dataSource);
  expect(await redis.del(await keysOf(redis, `{cc:${installation}:*`))).toBeGreaterThan(0);
}

async function isRebuilt(): Promise<boolean> {
  const open = await fixture.dataSource.query<{ n: number }[]>(
    'SELECT count(*)::int AS n FROM counter_cache_shard WHERE rebuilding IS NOT NULL',
  );
  const { dirty, batches, intents } = await fixture.counters.status();
  return open[0]?.n === 0 && dirty + batches + intents === 0 && (await wrongAuthors(fixture)).length === 0;
}

test.each([
  ['as they start', 'before'],
  ['while they run, and while others write', 'after'],
] as const)('processes that find a loss at once, %s: it is rebuilt once and for all', async (_name, lost) => {
  const { databaseUrl } = fixture;
  const start = () => startWorkerProgram({ databaseUrl, killAt: 'none' });
  if (lost === 'before') await loseEverything();
  const workers = [start(), start(), start()];
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  if (lost === 'after') await loseEverything();
  await Promise.all([write(), write()]);
  await until(isRebuilt, 30_000);
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map(ended));
  expect(await isRebuilt()).toBe(true);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
});
