import { type RedisServer, startRedis } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from '../integration/blog';

/** What a write may wait for Redis, ms; and what it is allowed to take in all, on a busy machine. */
const REDIS_TIMEOUT = 200;
const PATIENCE = 2_000;

let server: RedisServer;
let fixture: Fixture;
let events: string[];
let ids: number[];

beforeEach(async () => {
  server = await startRedis();
  fixture = await setup({
    entities: [Author, Post],
    counters: { redis: server.url, redisTimeout: REDIS_TIMEOUT, intentTimeout: 2_000, claimTimeout: 2_000 },
  });
  events = [];
  fixture.counters.on('degraded', () => events.push('degraded')).on('recovered', () => events.push('recovered'));
  ids = (
    await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'a' }, { name: 'a' }, { name: 'a' }])
  ).map(({ id }) => id);
});
afterEach(async () => {
  await fixture.close();
  await server.stop();
});

/** Writes, moves and deletes posts, and returns how long the slowest write took. None may fail. */
async function write(rounds: number): Promise<number> {
  const { manager } = fixture.dataSource;
  let slowest = 0;
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work;
    slowest = Math.max(slowest, performance.now() - start);
    return result;
  };
  for (let round = 0; round < rounds; round++) {
    const [authorId, other] = [ids[round % 4], ids[(round + 1) % 4]];
    const post = await timed(manager.save(Post, { authorId: authorId ?? 0, likes: round, published: true }));
    if (round % 2 === 0) await timed(manager.update(Post, { id: post.id }, { authorId: other ?? 0 }));
    if (round % 3 === 0) await timed(manager.delete(Post, { id: post.id }));
  }
  return slowest;
}

async function isTrue(): Promise<boolean> {
  const rows: Record<string, number>[] = await fixture.dataSource.query(TRUTH);
  return rows.every(
    (row) =>
      row['postsCount'] === row['posts'] &&
      row['publishedCount'] === row['published'] &&
      row['likesSum'] === row['likes'],
  );
}

const NOT_YET = { dirty: 1, batches: 0, intents: 0 };

/** With a worker running, until nothing is pending and every count is right; then it must stay so. */
async function expectHealed(): Promise<void> {
  await fixture.counters.settled();
  await until(async () => {
    // Rejects until the buffer is connected again: nothing else has to wait for that.
    const { dirty, batches, intents } = await fixture.counters.status().catch(() => NOT_YET);
    return dirty + batches + intents === 0 && (await isTrue());
  }, 40_000);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

describe('while Redis is away', () => {
  test('frozen: no write fails or waits long, and afterwards everything is recounted', async () => {
    await write(8);
    server.pause();
    expect(await write(6)).toBeLessThan(PATIENCE);
    expect(events).toEqual(['degraded']);
    server.resume();
    await write(4);
    await fixture.counters.startWorker();
    await expectHealed();
    await until(() => events.length > 1);
    expect(events).toEqual(['degraded', 'recovered']);
  });

  test('frozen, under a worker and 8 writers', async () => {
    await fixture.counters.startWorker();
    await Promise.all(Array.from({ length: 8 }, () => write(4)));
    server.pause();
    const slowest = await Promise.all(Array.from({ length: 8 }, () => write(3)));
    expect(Math.max(...slowest)).toBeLessThan(PATIENCE);
    server.resume();
    await Promise.all(Array.from({ length: 8 }, () => write(4)));
    await expectHealed();
    await until(() => events.length > 1);
    expect(events.slice(0, 2)).toEqual(['degraded', 'recovered']);
  });

  test('killed: no write fails or waits long; restarted empty, its loss is noticed and everything recounted', async () => {
    await write(8);
    await fixture.counters.flush();
    await write(4);
    await fixture.counters.settled();
    await server.kill();
    expect(await write(10)).toBeLessThan(PATIENCE);
    expect(events).toEqual(['degraded']);
    await server.restart({ keepData: false });
    await write(4);
    await fixture.counters.startWorker();
    await expectHealed();
    await until(() => events.at(-1) === 'recovered');
  });

  test('killed and restarted from an older file: what was applied since is not counted twice', async () => {
    await write(8);
    await fixture.counters.settled();
    await server.save();
    await fixture.counters.flush();
    await write(8);
    await fixture.counters.flush();
    expect(await isTrue()).toBe(true);
    await server.kill();
    await server.restart({ keepData: true });
    await until(() =>
      fixture.counters.status().then(
        ({ dirty }) => dirty > 0,
        () => false,
      ),
    );
    await fixture.counters.startWorker();
    await until(() => fixture.errors.some((error) => (error as { code?: string }).code === 'BUFFER_LOST'));
    await expectHealed();
  });

  test('killed and restarted with its data, under a worker: nothing is counted twice', async () => {
    await fixture.counters.startWorker();
    await write(8);
    await expectHealed();
    await server.save();
    await server.kill();
    expect(await write(8)).toBeLessThan(PATIENCE);
    await server.restart({ keepData: true });
    await write(4);
    await expectHealed();
  });

  test('killed and restarted empty, under a worker and 8 writers', async () => {
    await fixture.counters.startWorker();
    const writing = Promise.all(Array.from({ length: 8 }, () => write(40)));
    await until(isBusy);
    await server.restart({ keepData: false });
    expect(Math.max(...(await writing))).toBeLessThan(PATIENCE);
    await write(4);
    await expectHealed();
  });

  test('twice in a row', async () => {
    await fixture.counters.startWorker();
    for (let outage = 0; outage < 2; outage++) {
      await write(4);
      await server.kill();
      await write(4);
      await server.restart({ keepData: false });
      await expectHealed();
      await until(() => events.at(-1) === 'recovered');
    }
    expect(events.filter((event) => event === 'degraded').length).toBeGreaterThanOrEqual(2);
  });
});

async function isBusy(): Promise<boolean> {
  return (await fixture.dataSource.manager.count(Post)) > 40;
}

describe('close() while Redis is away', () => {
  test.each(['frozen', 'killed'] as const)('%s: ends, and leaves nothing to be recalculated', async (how) => {
    await write(4);
    await fixture.counters.settled();
    if (how === 'frozen') server.pause();
    else await server.kill();
    await write(2);
    const start = performance.now();
    await fixture.counters.close();
    expect(performance.now() - start).toBeLessThan(15_000);
    expect(fixture.errors.map(String)).not.toContainEqual(expect.stringContaining('recalculate'));
    if (how === 'frozen') server.resume();
  });

  test.each(['frozen', 'killed'] as const)('%s, and the outbox refuses rows: names the lost targets', async (how) => {
    await write(4);
    await fixture.dataSource.query('ALTER TABLE counter_cache_outbox ADD CONSTRAINT closed CHECK (false)');
    if (how === 'frozen') server.pause();
    else await server.kill();
    await write(2);
    const start = performance.now();
    await fixture.counters.close();
    expect(performance.now() - start).toBeLessThan(15_000);
    expect(fixture.errors).toContainEqual(
      expect.objectContaining({
        code: 'BUFFER_UNAVAILABLE',
        message: expect.stringContaining('recalculate') as string,
      }),
    );
    if (how === 'frozen') server.resume();
  });
});
