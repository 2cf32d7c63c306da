import { randomUUID } from 'node:crypto';

import { BullMqScheduler } from '../../../src/schedule/bullmq/bullmq-scheduler';
import { wakeUp, Probe } from '../../contract/scheduler/harness';
import { type Proxy, startProxy } from '../../support/proxy';
import { type RedisServer, startRedis } from '../../support/services';
import { setup } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { waitingRows, wrongAuthors } from '../outbox/outbox';

let server: RedisServer;
let proxy: Proxy;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(async () => {
  proxy = await startProxy({ host: '127.0.0.1', port: server.port });
});
afterEach(() => proxy.close());
afterAll(() => server.stop());

/** Until a connection that went silent is replaced, and what waited is applied, ms: 4 s of silence, looked at every second, on a busy machine. */
const REPLACED = 15_000;

describe('connections that go silent, while new ones work, are replaced', () => {
  test("a writer's and a worker's: what is pending is applied within seconds", async () => {
    const redis = `redis://127.0.0.1:${proxy.port}`;
    const counters = { redis, redisTimeout: 200, sweepInterval: 500, claimTimeout: 1_000 };
    const fixture = await setup({ entities: [Author, Post], counters });
    const health: string[] = [];
    fixture.counters.on('degraded', () => health.push('degraded')).on('recovered', () => health.push('recovered'));
    const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
    await fixture.counters.startWorker();
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await fixture.counters.settled();
    proxy.silence();
    const before = performance.now();
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await until(() =>
      fixture.counters.status().then(
        () => true,
        () => false,
      ),
    );
    expect(performance.now() - before).toBeLessThan(REPLACED);
    await until(() => health.at(-1) === 'recovered');
    // In Redis again, not in the outbox.
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    expect(await waitingRows(fixture)).toBe(0);
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    expect(health).toEqual(['degraded', 'recovered']);
    // One whose acknowledgement was lost is taken over.
    await until(async () => (await fixture.counters.status()).batches === 0);
    await fixture.close();
  });

  test('a pending delta waits for seconds, not for a minute', async () => {
    const redis = `redis://127.0.0.1:${proxy.port}`;
    const counters = { redis, wait: 2_000, window: 500, sweepInterval: 1_000 };
    const fixture = await setup({ entities: [Author, Post], counters });
    await fixture.counters.startWorker();
    const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.settled();
    proxy.silence();
    const before = performance.now();
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    expect(performance.now() - before).toBeLessThan(2_000 + REPLACED);
    await fixture.close();
  });

  test("BullMQ's: jobs are added and taken again within seconds", async () => {
    const errors: unknown[] = [];
    const scheduler = new BullMqScheduler({
      connection: { host: '127.0.0.1', port: proxy.port },
      queueName: `silent-${randomUUID()}`,
      onError: (error) => errors.push(error),
    });
    const probe = new Probe();
    const worker = await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp()]);
    await probe.calls(1);
    proxy.silence();
    const before = performance.now();
    const one = wakeUp();
    await until(
      () =>
        scheduler.schedule([one]).then(
          () => true,
          () => false,
        ),
      REPLACED,
    );
    await probe.calls(2);
    // BullMQ's second connection waits for a job for 5 s, legitimately, before it is missed.
    expect(performance.now() - before).toBeLessThan(20_000);
    expect(errors.map(String)).toEqual([expect.stringContaining('no connection to Redis')]);
    await worker.close();
    await scheduler.close();
  });

  test('a frozen server: connections are replaced, what was sent to it arrives once, and nothing has to be recounted', async () => {
    const counters = { redis: server.url, redisTimeout: 200, durableRedis: true };
    const fixture = await setup({ entities: [Author, Post], counters });
    const recounts: unknown[] = [];
    fixture.counters.on('recalculated', (event) => recounts.push(event));
    await fixture.counters.startWorker();
    const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
    server.pause();
    const end = performance.now() + 6_000;
    while (performance.now() < end) await fixture.dataSource.manager.insert(Post, { authorId: id });
    server.resume();
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await until(() =>
      fixture.counters.status().then(
        ({ intents }) => intents === 0,
        () => false,
      ),
    );
    expect(recounts).toEqual([]);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0 });
    await fixture.close();
  });
});
