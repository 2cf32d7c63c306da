import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

import { keysOf, redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { installationOf } from './internals';

const TIMES = { wait: 300, window: 50, sweepInterval: 100 } as const;

/** wait + window + sweepInterval, and time for the work itself on a busy machine. */
const BOUND = TIMES.wait + TIMES.window + TIMES.sweepInterval + 2_000;

let fixture: Fixture;
let redis: Redis;
let queueName: string;
let queue: Queue;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], counters: TIMES, worker: true });
  queueName = `cc-${await installationOf(fixture.dataSource)}`;
  redis = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  queue = new Queue(queueName, { connection: redis });
});
afterAll(async () => {
  await queue.close();
  redis.disconnect();
  await fixture.close();
});

async function wipe(): Promise<number> {
  const keys = await keysOf(redis, `bull:${queueName}:*`);
  return keys.length === 0 ? 0 : redis.del(keys);
}

async function writeTo(id: number): Promise<void> {
  await fixture.dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.settled();
}

/** The deltas written are applied in time. */
async function expectApplied(id: number, expected: number): Promise<void> {
  await until(
    async () => (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount === expected,
    BOUND,
  );
}

async function newAuthor(): Promise<number> {
  return (await fixture.dataSource.manager.save(Author, { name: 'a' })).id;
}

describe('I4: no lost wake-up', () => {
  test("when BullMQ's keys are wiped while a target is dirty", async () => {
    const id = await newAuthor();
    await writeTo(id);
    expect(await queue.getDelayedCount()).toBe(2);
    expect(await wipe()).toBeGreaterThan(0);
    await expectApplied(id, 1);
  });

  test('when they are wiped again and again under load', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, newAuthor));
    for (let round = 0; round < 10; round++) {
      await Promise.all(ids.map(writeTo));
      await wipe();
    }
    await Promise.all(ids.map((id) => expectApplied(id, 10)));
  });

  test('and jobs fire again after a wipe', async () => {
    await wipe();
    const id = await newAuthor();
    await writeTo(id);
    expect((await queue.getDelayed()).map(({ name }) => name)).toContain('reconcile');
    await expectApplied(id, 1);
  });

  test('when the queue is paused', async () => {
    const id = await newAuthor();
    await queue.pause();
    await writeTo(id);
    await expectApplied(id, 1);
    await queue.resume();
    await writeTo(id);
    await expectApplied(id, 2);
  });

  test('when every job is taken away before its time', async () => {
    const id = await newAuthor();
    await writeTo(id);
    await queue.drain(true);
    expect(await queue.getDelayedCount()).toBe(0);
    await expectApplied(id, 1);
  });

  test('and a deduplication key that nobody owns', async () => {
    const id = await newAuthor();
    await writeTo(id);
    const jobs = await queue.getDelayed();
    await wipe();
    // As a job that was lost leaves it: every further add with this id is swallowed.
    await Promise.all(
      jobs.map(({ deduplicationId }) => redis.set(`bull:${queueName}:de:${deduplicationId}`, 'nobody')),
    );
    await writeTo(id);
    await expectApplied(id, 2);
  });
});

test('nothing of this was an error', () => expect(fixture.errors).toEqual([]));
