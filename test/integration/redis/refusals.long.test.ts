import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { Counters } from 'typeorm-counter-cache';

import { BullMqScheduler } from '../../../src/schedule/bullmq/bullmq-scheduler';
import { wakeUp, Probe } from '../../contract/scheduler/harness';
import { type RedisServer, startRedis } from '../../support/services';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';
import { clientCount, setUser, withAdmin } from './redis-user';

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** Ticks of a timer that fired within the time: none while something keeps the event loop for itself. */
async function ticksOf(milliseconds: number): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 20);
  await delay(milliseconds);
  clearInterval(timer);
  return ticks;
}

const RIGHTS = ['~*', '&*', '+@all'];

/** Ways in which Redis refuses commands, and how to end them. */
const REFUSALS = {
  'OOM: its memory is full': {
    begin: () => withAdmin(server, (admin) => admin.config('SET', 'maxmemory', '1')),
    end: () => withAdmin(server, (admin) => admin.config('SET', 'maxmemory', '0')),
  },
  'NOPERM: scripts are not allowed any more': {
    begin: () => setUser(server, [...RIGHTS, '-evalsha', '-eval']),
    end: () => setUser(server, RIGHTS),
  },
  'NOPERM: a command within scripts is not allowed any more': {
    begin: () => setUser(server, [...RIGHTS, '-hincrby', '-zadd', '-xadd']),
    end: () => setUser(server, RIGHTS),
  },
  'NOPERM: to wait for jobs is not allowed any more': {
    begin: () => setUser(server, [...RIGHTS, '-bzpopmin']),
    end: () => setUser(server, RIGHTS),
  },
  'NOPERM: keys of the queue are not allowed any more': {
    begin: () => setUser(server, ['~{cc:*', '&*', '+@all']),
    end: () => setUser(server, RIGHTS),
  },
} as const;

type Refusal = keyof typeof REFUSALS;
const KINDS = Object.keys(REFUSALS) as Refusal[];

describe('while Redis refuses commands', () => {
  let fixture: Fixture;
  let health: string[];

  beforeEach(async () => {
    const redis = await setUser(server, RIGHTS);
    fixture = await setup({ entities: [Author, Post], counters: { redis, sweepInterval: 100 } });
    health = [];
    fixture.counters.on('degraded', () => health.push('degraded')).on('recovered', () => health.push('recovered'));
  });
  afterEach(async () => {
    for (const kind of KINDS) await REFUSALS[kind].end();
    await fixture.close();
  });

  /** Writes until the time is up; no write fails or waits long. */
  async function writeFor(milliseconds: number, authorId: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (performance.now() < end) {
      await fixture.dataSource.manager.insert(Post, { authorId });
      await delay(20);
    }
  }

  test.each(KINDS)('%s: a worker that runs reports it once, timers fire, and it goes on afterwards', async (kind) => {
    const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
    await fixture.counters.startWorker();
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await REFUSALS[kind].begin();
    const [ticks] = await Promise.all([ticksOf(4_000), writeFor(4_000, id)]);
    expect(ticks).toBeGreaterThan(50);
    const told = fixture.errors.map((error) => (error as Error).message);
    // Of the sweep, of jobs, of wake-ups that cannot be set, and of the queue's connections: one each.
    expect(new Set(told).size).toBe(told.length);
    expect(told.length).toBeLessThanOrEqual(6);
    expect(health.length).toBeLessThanOrEqual(1);
    await REFUSALS[kind].end();
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    if (health.length > 0) await until(() => health.at(-1) === 'recovered');
    expect(health.length).toBeLessThanOrEqual(2);
  });
});

test('a worker that starts while memory is full is started, and applies what waits afterwards', async () => {
  const redis = await setUser(server, RIGHTS);
  const fixture = await setup({ entities: [Author, Post], counters: { redis, sweepInterval: 100 } });
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  await fixture.dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.settled();
  await REFUSALS['OOM: its memory is full'].begin();
  await fixture.counters.startWorker();
  expect(await ticksOf(3_000)).toBeGreaterThan(30);
  expect(fixture.errors.length).toBeLessThanOrEqual(5);
  await REFUSALS['OOM: its memory is full'].end();
  await until(async () => (await wrongAuthors(fixture)).length === 0);
  await fixture.close();
});

describe('a BullMQ worker', () => {
  test.each(['OOM: its memory is full', 'NOPERM: scripts are not allowed any more'] as const)(
    'that starts while Redis refuses (%s) waits between attempts, and works afterwards',
    async (kind) => {
      await setUser(server, RIGHTS);
      const errors: unknown[] = [];
      const scheduler = new BullMqScheduler({
        connection: { host: '127.0.0.1', port: server.port, username: 'counters', password: 's3cret' },
        queueName: `refused-${randomUUID()}`,
        onError: (error) => errors.push(error),
      });
      const [probe, one] = [new Probe(), wakeUp()];
      await scheduler.schedule([one]);
      await REFUSALS[kind].begin();
      const before = await commandCount();
      const worker = await scheduler.start(probe.handler, { concurrency: 4 });
      expect(await ticksOf(4_000)).toBeGreaterThan(50);
      expect(errors.length).toBeGreaterThan(0);
      expect(errors.length).toBeLessThanOrEqual(2);
      expect((await commandCount()) - before).toBeLessThan(200);
      await REFUSALS[kind].end();
      await probe.calls(1);
      expect(probe.fired[0]?.at).toBe(one.at);
      await worker.close();
      await scheduler.close();
    },
  );

  test('whose user may not run INFO, and which was not told so, starts again without it', async () => {
    await setUser(server, [...RIGHTS, '-info']);
    const errors: unknown[] = [];
    const scheduler = new BullMqScheduler({
      connection: { host: '127.0.0.1', port: server.port, username: 'counters', password: 's3cret' },
      queueName: `refused-${randomUUID()}`,
      onError: (error) => errors.push(error),
    });
    const [probe, one] = [new Probe(), wakeUp()];
    await scheduler.schedule([one]);
    const worker = await scheduler.start(probe.handler, { concurrency: 4 });
    expect(await ticksOf(1_000)).toBeGreaterThan(10);
    await probe.calls(1);
    expect(errors.length).toBeLessThanOrEqual(1);
    await worker.close();
    await scheduler.close();
  });
});

async function commandCount(): Promise<number> {
  const info = await withAdmin(server, (admin) => admin.info('stats'));
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1]);
}

describe('a server of a Cluster', () => {
  let node: RedisServer;

  beforeAll(async () => {
    node = await startRedis({ args: ['--cluster-enabled', 'yes'] });
  });
  afterAll(() => node.stop());

  async function expectRefusal(options: object = {}): Promise<void> {
    const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
    const attach = Counters.attach(dataSource, { ...TEST_OPTIONS, redis: node.url, ...options });
    await expect(attach).rejects.toThrow(/127\.0\.0\.1:\d+ is a server of a Cluster.*Connect to a Redis that is no/);
    await until(async () => (await clientCount(node)) === 0);
  }

  test('without slots is refused by attach', () => expectRefusal());

  test('is refused by attach: keys of BullMQ are in several slots', async () => {
    await withAdmin(node, (admin) => admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383'));
    await until(async () =>
      (await withAdmin(node, (admin) => admin.call('CLUSTER', 'INFO') as Promise<string>)).includes('state:ok'),
    );
    await expectRefusal();
  });

  test('that holds only some slots is refused by attach, whatever the prefix of the queue is', async () => {
    await withAdmin(node, (admin) => admin.call('CLUSTER', 'DELSLOTSRANGE', '0', '12000'));
    await withAdmin(node, (admin) => admin.config('SET', 'cluster-require-full-coverage', 'no'));
    await expectRefusal({ queue: { prefix: '{bull}' } });
  });

  test('does not make a BullMQ worker spin', async () => {
    const errors: unknown[] = [];
    const scheduler = new BullMqScheduler({
      connection: { host: '127.0.0.1', port: node.port },
      queueName: 'crossslot',
      onError: (error) => errors.push(error),
    });
    const worker = await scheduler.start(new Probe().handler, { concurrency: 4 });
    expect(await ticksOf(3_000)).toBeGreaterThan(30);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThanOrEqual(3);
    await worker.close();
    await scheduler.close();
  });
});
