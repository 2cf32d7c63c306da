import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { BullMqScheduler } from '../../src/schedule/bullmq/bullmq-scheduler';
import { consumerConnection, producerConnection } from '../../src/schedule/bullmq/connections';
import { withTimeout } from '../../src/time-limit';
import { startChild } from '../support/child';
import { type RedisServer, startRedis } from '../support/services';
import { wakeUp, isPending, Probe } from './scheduler/harness';
import { until } from '../support/until';

/** Far from the 5 s that a command may take, also on a busy machine, ms. */
const AT_ONCE = 2_500;

const UNAVAILABLE = { code: 'BUFFER_UNAVAILABLE' };

describe('while Redis is down', () => {
  let server: RedisServer;
  let opened: BullMqScheduler[];
  let errors: unknown[];

  beforeEach(async () => {
    server = await startRedis();
    [opened, errors] = [[], []];
  });
  afterEach(async () => {
    await Promise.all(opened.map((scheduler) => scheduler.close()));
    await server.stop();
  });

  function open(): BullMqScheduler {
    const scheduler = new BullMqScheduler({
      connection: { host: '127.0.0.1', port: server.port },
      queueName: `outage-${randomUUID()}`,
      onError: (error) => errors.push(error),
    });
    opened.push(scheduler);
    return scheduler;
  }

  async function took(work: () => Promise<unknown>): Promise<number> {
    const from = performance.now();
    await work();
    return performance.now() - from;
  }

  it('scheduling fails at once when it never was up, and works when it is', async () => {
    await server.kill();
    const [scheduler, probe] = [open(), new Probe()];
    expect(await took(() => expect(scheduler.schedule([wakeUp()])).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(
      AT_ONCE,
    );
    expect(await took(() => expect(scheduler.schedule([wakeUp()])).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(
      AT_ONCE,
    );
    await scheduler.start(probe.handler, { concurrency: 1 });
    await server.restart({ keepData: false });
    const one = wakeUp();
    await until(() =>
      scheduler.schedule([one]).then(
        () => true,
        () => false,
      ),
    );
    await probe.calls(1);
    expect(probe.fired[0]?.at).toBe(one.at);
    expect(errors.length).toBeGreaterThan(0);
  });

  it('scheduling fails at once when it went away, and the wake-up is not remembered as scheduled', async () => {
    const [scheduler, probe] = [open(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp()]);
    await probe.calls(1);
    await server.kill();
    const one = wakeUp({ delay: 50 });
    await until(() => errors.length > 0);
    for (let i = 0; i < 3; i++) {
      expect(await took(() => expect(scheduler.schedule([one])).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(
        AT_ONCE,
      );
    }
    await server.restart({ keepData: false });
    await until(() =>
      scheduler.schedule([one]).then(
        () => true,
        () => false,
      ),
    );
    await probe.calls(2);
    expect(probe.fired[1]?.at).toBe(one.at);
  });

  it('scheduling fails after some seconds when it is frozen', async () => {
    const scheduler = open();
    await scheduler.schedule([wakeUp()]);
    server.pause();
    expect(await took(() => expect(scheduler.schedule([wakeUp()])).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(
      10_000,
    );
  });

  it('an outage is told once, however many attempts to connect fail', async () => {
    const [scheduler, probe] = [open(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await server.kill();
    let attempts = 0;
    const refusing = createServer((socket) => socket.resetAndDestroy());
    refusing.on('connection', () => (attempts += 1)).listen(server.port, '127.0.0.1');
    await until(() => attempts > 12).finally(() => refusing.close());
    expect(errors).toMatchObject([
      { ...UNAVAILABLE, message: expect.stringContaining('no connection to Redis') as unknown },
    ]);
  });

  it.each([true, false])('workers and schedulers that never were connected close (force: %s)', async (force) => {
    await server.kill();
    const scheduler = open();
    const worker = await scheduler.start(new Probe().handler, { concurrency: 1 });
    expect(await took(() => worker.close(force))).toBeLessThan(3_000);
    expect(await took(() => scheduler.close())).toBeLessThan(3_000);
  });

  it.each(['kill', 'pause'] as const)('workers finish what is active and close, without Redis (%s)', async (end) => {
    const [scheduler, probe] = [open(), new Probe()];
    probe.hold();
    const worker = await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp()]);
    await probe.calls(1);
    await server[end]();
    const closed = worker.close();
    expect(await isPending(closed)).toBe(true);
    probe.release();
    expect(await took(() => closed)).toBeLessThan(8_000);
    expect(probe.active).toBe(0);
    expect(await took(() => scheduler.close())).toBeLessThan(3_000);
  });

  it.each<[string, 'yes' | 'no', (server: RedisServer) => unknown]>([
    ['answers', 'yes', () => undefined],
    ['went away', 'yes', (redis) => redis.kill()],
    ['froze', 'yes', (redis) => redis.pause()],
    ['never was there', 'no', () => undefined],
  ])('a process that closes ends by itself: Redis %s', async (_, connected, meanwhile) => {
    if (connected === 'no') await server.kill();
    const child = startChild(join(__dirname, 'scheduler', 'exit-program.ts'), {
      PORT: String(server.port),
      CONNECTED: connected,
    });
    const exited = once(child, 'exit');
    await once(child, 'message');
    await meanwhile(server);
    child.send('close');
    expect(await withTimeout(exited, 15_000, 'still alive')).toEqual([0, null]);
  });
});

describe('the connections', () => {
  const given = {
    host: 'redis',
    commandTimeout: 7,
    maxRetriesPerRequest: 3,
    enableOfflineQueue: false,
    retryStrategy: () => null,
  };

  it('of a worker never give up, and have no time limit', () => {
    const options = consumerConnection(given);
    expect(options).toMatchObject({ maxRetriesPerRequest: null, enableOfflineQueue: true, host: 'redis' });
    expect(options).not.toHaveProperty('commandTimeout');
    expect(options.retryStrategy?.(1_000)).toBe(2_000);
  });

  it('of a producer fail fast', () => {
    expect(producerConnection({ ...given, enableOfflineQueue: true })).toMatchObject({
      commandTimeout: 5_000,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      host: 'redis',
    });
  });
});
