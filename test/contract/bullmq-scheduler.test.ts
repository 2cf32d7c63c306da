import { randomUUID } from 'node:crypto';

import { Queue, type RedisOptions } from 'bullmq';
import { Redis } from 'ioredis';

import { ConfigurationError } from '../../src/errors';
import { BullMqScheduler, type BullMqSchedulerOptions } from '../../src/schedule/bullmq/bullmq-scheduler';
import { redisUrl } from '../support/redis';
import { until } from '../support/until';
import { describeScheduler } from './scheduler.contract';
import { wakeUp, ATTEMPTS, Probe, settled } from './scheduler/harness';

function connection(): RedisOptions {
  const { hostname, port } = new URL(redisUrl());
  return { host: hostname, port: Number(port) };
}

/** Schedulers on one queue of their own, whose keys are removed afterwards. */
function schedulersOn(options: Partial<BullMqSchedulerOptions> = {}) {
  const [queueName, queuePrefix, errors] = [`contract-${randomUUID()}`, 'cc-test', [] as unknown[]];
  const opened: BullMqScheduler[] = [];
  const queue = new Queue(queueName, { connection: connection(), prefix: queuePrefix });
  const another = (): BullMqScheduler => {
    const scheduler = new BullMqScheduler({
      connection: connection(),
      queueName,
      queuePrefix,
      jobOptions: { attempts: ATTEMPTS, backoff: { type: 'fixed', delay: 2 } },
      onError: (error) => errors.push(error),
      ...options,
    });
    opened.push(scheduler);
    return scheduler;
  };
  const waiting = async (): Promise<number> => (await queue.getWaitingCount()) + (await queue.getDelayedCount());
  const cleanup = async (): Promise<void> => {
    await Promise.all(opened.map((scheduler) => scheduler.close()));
    await queue.obliterate({ force: true });
    await queue.close();
  };
  return { another, errors, waiting, cleanup, queue };
}

describeScheduler('BullMqScheduler', async () => schedulersOn());

const original = Reflect.get(Redis.prototype, 'sendCommand') as (this: Redis, ...args: unknown[]) => unknown;

describe('the jobs of BullMqScheduler', () => {
  it('are named after the kind, unique by kind, shard and time, and carry shard and time', async () => {
    const { another, queue, cleanup } = schedulersOn({ jobOptions: { attempts: 7 } });
    const one = wakeUp({ kind: 'recalculate', shard: 5, delay: 60_000 });
    await another().schedule([one]);
    const [job] = await queue.getDelayed();
    expect(job).toMatchObject({ name: 'recalculate', data: { shard: 5, at: one.at } });
    expect(job?.deduplicationId).toBe(`recalculate-5-${one.at}`);
    expect(job?.opts).toMatchObject({ attempts: 7, removeOnComplete: true, removeOnFail: { count: 100 } });
    expect(job?.delay).toBeGreaterThan(59_000);
    expect(job?.delay).toBeLessThanOrEqual(60_000);
    await cleanup();
  });

  it('are not reported when they are gone before they end: their wake-ups were handled', async () => {
    const { another, queue, errors, cleanup } = schedulersOn();
    const scheduler = another();
    const redis = new Redis(redisUrl());
    let handled = 0;
    const take = async (): Promise<void> => {
      // As when the answer to the end of a job got lost, and the end is sent again.
      for (const { id } of await queue.getActive()) await redis.del(queue.toKey(String(id)));
      handled++;
    };
    await scheduler.start(take, { concurrency: 1 });
    for (const shard of [0, 1]) await scheduler.schedule([wakeUp({ shard })]);
    await until(() => handled === 2);
    await cleanup();
    redis.disconnect();
    expect(errors).toEqual([]);
  });

  it('are waited for to the millisecond, by a worker that has nothing else to do', async () => {
    const { another, cleanup } = schedulersOn();
    const scheduler = another();
    const fired = new Probe();
    const timeouts: number[] = [];
    const sendCommand = jest.spyOn(Redis.prototype, 'sendCommand');
    sendCommand.mockImplementation(function (this: Redis, command, stream) {
      if (command.name === 'bzpopmin') timeouts.push(Number(command.args[1]));
      return original.call(this, command, stream);
    });
    try {
      await scheduler.start(fired.handler, { concurrency: 1 });
      await until(() => timeouts.length > 0);
      await scheduler.schedule([wakeUp({ delay: 300 })]);
      await until(() => fired.fired.length > 0);
    } finally {
      await cleanup();
      sendCommand.mockRestore();
    }
    expect(timeouts.filter((timeout) => !Number.isInteger(timeout))).not.toEqual([]);
  });

  it('that are delayed are added once per process: the sweep looks after those that are lost', async () => {
    const { another, queue, waiting, cleanup } = schedulersOn();
    const [here, elsewhere, one] = [another(), another(), wakeUp({ delay: 60_000 })];
    await here.schedule([one]);
    await queue.obliterate({ force: true });
    await here.schedule([one]);
    expect(await waiting()).toBe(0);
    await elsewhere.schedule([one]);
    expect(await waiting()).toBe(1);
    await cleanup();
  });

  it('leave no completed job behind', async () => {
    const { another, queue, cleanup } = schedulersOn();
    const [scheduler, probe] = [another(), new Probe()];
    const worker = await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp()]);
    await settled(scheduler, probe);
    await worker.close();
    expect(await queue.getJobCounts()).toMatchObject({ completed: 0, active: 0, waiting: 0, delayed: 0, failed: 0 });
    await cleanup();
  });

  it('of a kind that a newer release added are refused, not retried', async () => {
    const { another, queue, errors, cleanup } = schedulersOn();
    const [scheduler, probe] = [another(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await queue.add('rebuild', { shard: 0, at: 1 }, { attempts: 5 });
    await settled(scheduler, probe);
    expect(errors.map(String)).toEqual([expect.stringContaining("unknown wake-up 'rebuild'")]);
    await cleanup();
  });
});

describe('what BullMQ cannot work with', () => {
  it('is refused, all at once', () => {
    const create = (): BullMqScheduler =>
      new BullMqScheduler({
        connection: { ...connection(), keyPrefix: 'app:' },
        queueName: 'a:b',
        onError: () => undefined,
      });
    expect(create).toThrow(/keyPrefix[^]*'a:b'/);
    expect(create).toThrow(ConfigurationError);
  });
});
