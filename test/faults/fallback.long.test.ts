import { InProcessScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';

import { type RedisServer, startRedis } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from '../integration/blog';
import { waitingRows, wrongAuthors } from '../integration/outbox/outbox';

const REDIS_TIMEOUT = 200;

let server: RedisServer;
let fixture: Fixture;
let ids: number[];
let events: string[];
/** Recounts, and what they found: a delta that is in the outbox needs none. */
let recounts: unknown[];

async function start(options: NonNullable<Parameters<typeof setup>[0]['counters']> = {}): Promise<void> {
  fixture = await setup({
    entities: [Author, Post],
    counters: { redis: server.url, redisTimeout: REDIS_TIMEOUT, durableRedis: true, ...options },
  });
  [events, recounts] = [[], []];
  fixture.counters
    .on('degraded', () => events.push('degraded'))
    .on('recovered', () => events.push('recovered'))
    .on('recalculated', (event) => recounts.push(event))
    .on('drift', (event) => recounts.push(event));
  const authors = await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'a' }, { name: 'a' }]);
  ids = authors.map(({ id }) => id);
}

beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await fixture.close();
  await server.stop();
});

/** Writes, moves and deletes posts from several clients; returns how long the writes took, longest first. */
async function write(clients: number, rounds: number): Promise<number[]> {
  const { manager } = fixture.dataSource;
  const times: number[] = [];
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work;
    times.push(performance.now() - started);
    return result;
  };
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let round = 0; round < rounds; round++) {
        const [authorId = 0, other = 0] = [ids[(client + round) % 3], ids[round % 3]];
        const { id } = await timed(manager.save(Post, { authorId, likes: round, published: round % 2 === 0 }));
        if (round % 2 === 0) await timed(manager.update(Post, { id }, { authorId: other }));
        if (round % 3 === 0) await timed(manager.delete(Post, { id }));
      }
    }),
  );
  return times.toSorted((left, right) => right - left);
}

/** Every count is right once nothing waits, and nobody had to recount anything. */
async function expectExact(): Promise<void> {
  await until(async () => {
    const { dirty, batches, intents } = await fixture.counters
      .status()
      .catch(() => ({ dirty: 1, batches: 0, intents: 0 }));
    return dirty + batches + intents === 0 && (await waitingRows(fixture)) === 0;
  });
  expect(await wrongAuthors(fixture)).toEqual([]);
  expect(recounts).toEqual([]);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

describe('buffered, while Redis is away: the outbox takes the deltas', () => {
  test('frozen: one write waits, late announcements arrive, and nothing is recounted', async () => {
    await start();
    await write(1, 4);
    await fixture.counters.settled();
    server.pause();
    const times = await write(1, 6);
    expect(times.filter((time) => time > REDIS_TIMEOUT).length).toBeLessThanOrEqual(2);
    expect(await waitingRows(fixture)).toBeGreaterThan(0);
    server.resume();
    await until(() => events.length === 2);
    await write(1, 4);
    await fixture.counters.startWorker();
    await expectExact();
    expect(events).toEqual(['degraded', 'recovered']);
  });

  test('frozen, under a worker and 8 writers', async () => {
    await start();
    await fixture.counters.startWorker();
    await write(8, 4);
    await fixture.counters.settled();
    server.pause();
    await write(8, 4);
    server.resume();
    await write(8, 4);
    await expectExact();
  });

  test('killed and restarted with its data: nothing is lost, and nothing recounted', async () => {
    await start();
    await write(1, 6);
    await fixture.counters.flush();
    await fixture.counters.settled();
    await server.save();
    await server.kill();
    await write(8, 4);
    await server.restart({ keepData: true });
    await fixture.counters.startWorker();
    await expectExact();
    await until(() => events.at(-1) === 'recovered');
  });

  test('rows that cannot be written either: no write fails, and the targets are recounted', async () => {
    await start();
    await fixture.dataSource.query('ALTER TABLE counter_cache_outbox ADD CONSTRAINT closed CHECK (false)');
    server.pause();
    await write(2, 4);
    server.resume();
    await fixture.counters.startWorker();
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0 });
    expect(recounts).not.toEqual([]);
  });
});

describe('buffered, while some shards do not answer', () => {
  class HalfDeafBuffer extends MemoryBuffer {
    override async announce(shard: number, intent: Parameters<MemoryBuffer['announce']>[1]): Promise<void> {
      if (shard % 2 === 1) throw new Error('no answer');
      await super.announce(shard, intent);
    }
  }

  test('only their deltas go to the outbox', async () => {
    const scheduler = new InProcessScheduler();
    await start({ buffer: new HalfDeafBuffer({ shards: 4, window: 10 }), scheduler, wait: 600_000 });
    const authors = Array.from({ length: 40 }, () => ({ name: 'a' }));
    const rows = await fixture.dataSource.manager.save(Author, authors);
    await fixture.dataSource.transaction(async (manager) => {
      await manager.insert(
        Post,
        rows.map(({ id }) => ({ authorId: id })),
      );
    });
    await fixture.counters.settled();
    const waiting = await waitingRows(fixture);
    expect(waiting).toBeGreaterThan(0);
    expect(waiting).toBeLessThan(40);
    expect(await fixture.counters.status()).toMatchObject({ dirty: 40, intents: 0 });
    await fixture.counters.flush();
    await expectExact();
    await scheduler.close();
  });
});

describe('an announcement that arrived although it failed', () => {
  /** Does what it is told, and says that it did not. */
  class DeafBuffer extends MemoryBuffer {
    override async announce(...args: Parameters<MemoryBuffer['announce']>): Promise<void> {
      await super.announce(...args);
      throw new Error('timed out');
    }
    override async discard(): Promise<void> {}
  }

  test('is never confirmed: the sweep finds it, and a recount changes nothing', async () => {
    const scheduler = new InProcessScheduler();
    await start({ buffer: new DeafBuffer({ window: 10 }), scheduler, intentTimeout: 200 });
    await write(4, 4);
    expect((await fixture.counters.status()).intents).toBeGreaterThan(0);
    expect(await fixture.counters.recalculate()).toMatchObject({ checked: 3 });
    await fixture.counters.startWorker();
    await until(async () => {
      const { dirty, batches, intents } = await fixture.counters.status();
      return dirty + batches + intents === 0 && (await waitingRows(fixture)) === 0;
    });
    expect(await wrongAuthors(fixture)).toEqual([]);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
    await scheduler.close();
  });
});

describe('a discard that fails, or was never sent', () => {
  /** Stores announcements; fails as often as it is told. */
  class MoodyBuffer extends MemoryBuffer {
    failures = 0;
    isDeaf = false;
    discards = 0;
    override async announce(...args: Parameters<MemoryBuffer['announce']>): Promise<void> {
      await super.announce(...args);
      if (this.isDeaf) throw new Error('timed out');
    }
    override async discard(...args: Parameters<MemoryBuffer['discard']>): Promise<void> {
      this.discards += 1;
      if (this.failures-- > 0) throw new Error('never sent');
      await super.discard(...args);
    }
  }

  async function startMoody(): Promise<{ buffer: MoodyBuffer; scheduler: InProcessScheduler }> {
    const [buffer, scheduler] = [new MoodyBuffer({ window: 10 }), new InProcessScheduler()];
    await start({ buffer, scheduler, intentTimeout: 600_000 });
    return { buffer, scheduler };
  }

  test.each(['committed', 'rolled back'])('of a transaction that was %s is sent again', async (end) => {
    const { buffer, scheduler } = await startMoody();
    Object.assign(buffer, { failures: 3, isDeaf: end === 'committed' });
    const work = fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: ids[0] ?? 0 });
      // Announces: what was captured is handed over by the first attempt to commit, and the transaction is rolled back.
      if (end === 'rolled back') await manager.query('SELECT 1/0').catch(() => undefined);
    });
    await work.catch(() => undefined);
    await until(async () => (await fixture.counters.status()).intents === 0);
    expect(buffer.discards).toBeGreaterThan(3);
    Object.assign(buffer, { isDeaf: false });
    await fixture.counters.startWorker();
    await expectExact();
    await scheduler.close();
  });

  test('close() makes a last attempt, and does not wait for a buffer that refuses', async () => {
    const { buffer, scheduler } = await startMoody();
    Object.assign(buffer, { failures: Infinity, isDeaf: true });
    await write(2, 2);
    const before = performance.now();
    await fixture.counters.close();
    expect(performance.now() - before).toBeLessThan(10_000);
    const { discards } = buffer;
    await scheduler.close();
    expect(discards).toBe(buffer.discards);
  });
});

describe('outbox, while Redis is away', () => {
  test('writes go on, and so does a worker', async () => {
    await start({ mode: 'outbox' });
    await server.kill();
    await fixture.counters.startWorker();
    await write(8, 6);
    await until(async () => (await waitingRows(fixture)) === 0);
    expect(await wrongAuthors(fixture)).toEqual([]);
    await server.restart({ keepData: false });
    await expectExact();
  });

  test('frozen: I4 holds, since the outbox is swept apart', async () => {
    await start({ mode: 'outbox' });
    await fixture.counters.startWorker();
    server.pause();
    const times = await write(2, 6);
    expect(times[0]).toBeLessThan(1_000);
    await until(async () => (await waitingRows(fixture)) === 0, 3_000);
    expect(await wrongAuthors(fixture)).toEqual([]);
    server.resume();
    await expectExact();
  });
});
