import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Counters } from 'typeorm-counter-cache';

import type { WakeUpData } from '../../src/schedule/bullmq/wake-up-producer';
import { Author, Post } from '../integration/blog';
import { installationOf } from '../integration/internals';
import { wrongAuthors } from '../integration/outbox/outbox';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';

/** Every delta is applied by a job: the sweep does not come in time. */
const OPTIONS = { shards: 1, sweepInterval: 600_000 } as const;

let fixture: Fixture;
let redis: Redis;
let queue: Queue<WakeUpData>;

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post], counters: OPTIONS });
  redis = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  queue = new Queue(`cc-${await installationOf(fixture.dataSource)}`, { connection: redis });
  await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }]);
});
afterEach(async () => {
  await queue.close();
  redis.disconnect();
  await fixture.close();
  expect(fixture.errors).toEqual([]);
});

/** Adds a job as often as a broken network, or a hand, may: without what makes ours unique. */
async function duplicate(times: number): Promise<void> {
  const jobs = await until(async () => {
    const found = (await queue.getJobs(['delayed', 'waiting'])).filter(({ name }) => name === 'reconcile');
    return found.length > 0 ? found : null;
  });
  await queue.addBulk(
    jobs.flatMap(({ name, data, delay }) =>
      Array.from({ length: times }, () => ({ name, data, opts: { delay, removeOnComplete: true } })),
    ),
  );
}

async function isIdle(): Promise<boolean> {
  const { active, waiting, delayed } = await queue.getJobCounts('active', 'waiting', 'delayed');
  const { dirty, batches } = await fixture.counters.status();
  // Recalculations are due in ten minutes: their jobs stay.
  const later = (await queue.getDelayed()).filter(({ name }) => name === 'recalculate').length;
  return (active ?? 0) + (waiting ?? 0) + (delayed ?? 0) - later + dirty + batches === 0;
}

test('I3: jobs that are delivered many times, to two workers, apply once', async () => {
  const { counters, dataSource } = fixture;
  const second = newDataSource(fixture.databaseUrl, [Author, Post], { synchronize: false });
  const others = await Counters.attach(second, { redis: redisUrl(), ...TEST_OPTIONS, ...OPTIONS });
  await second.initialize();
  let updates = 0;
  for (const one of [counters, others]) one.on('reconciled', (event) => (updates += event.updates));
  await Promise.all([counters.startWorker(), others.startWorker()]);
  for (let round = 1; round <= 3; round++) {
    await dataSource.manager.insert(Post, [{ authorId: 1, likes: round }, { authorId: 2 }, { authorId: 1 }]);
    await counters.settled();
    await duplicate(20);
    await until(isIdle);
    expect(await wrongAuthors(fixture)).toEqual([]);
    expect(updates).toBe(round);
  }
  await others.close();
  await second.destroy();
});

test('jobs that a paused queue held back fire when it is resumed, on what a flush has applied already', async () => {
  const { counters, dataSource } = fixture;
  await counters.startWorker();
  await queue.pause();
  await dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 2 }]);
  await counters.flush();
  await dataSource.manager.insert(Post, { authorId: 1 });
  await counters.settled();
  await duplicate(5);
  expect((await counters.status()).dirty).toBe(1);
  await queue.resume();
  await until(isIdle);
  expect(await wrongAuthors(fixture)).toEqual([]);
});
