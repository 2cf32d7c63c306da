import { Redis } from 'ioredis';

import { type Fixture, setup } from '../support/setup';
import { type RedisServer, startRedis } from '../support/services';
import { describeVersions } from '../support/versions';
import { Author, Post, TRUTH } from './blog';

describeVersions('Redis that was wiped, and no sweep has noticed', (pg) => {
  let server: RedisServer;
  let redis: Redis;
  let fixture: Fixture;
  let ids: number[];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    fixture = await setup({
      entities: [Author, Post],
      server: pg(),
      counters: { redis: server.url, shards: 4, wait: 600_000, sweepInterval: 600_000 },
    });
    const { manager } = fixture.dataSource;
    ids = (await manager.save(Author, [{ name: 'a' }, { name: 'b' }, { name: 'c' }])).map(({ id }) => id);
    await manager.insert(
      Post,
      ids.map((authorId) => ({ authorId, likes: 3 })),
    );
    await fixture.counters.settled();
    await redis.flushall();
  });
  afterEach(async () => {
    expect(fixture.errors).toEqual([expect.objectContaining({ code: 'BUFFER_LOST' })]);
    await fixture.close();
  });

  /** Ids of authors whose columns are wrong. */
  async function wrong(): Promise<number[]> {
    const rows: Record<string, number>[] = await fixture.dataSource.query(TRUTH);
    return rows
      .filter((row) => row['postsCount'] !== row['posts'] || row['likesSum'] !== row['likes'])
      .map((row) => row['id'] ?? 0);
  }

  test('recalculate: what it has found is applied when it resolves', async () => {
    expect(await fixture.counters.recalculate()).toMatchObject({
      checked: 3,
      fixedCount: 6,
      failed: [],
      unsettled: [],
    });
    expect(await wrong()).toEqual([]);
  });

  test('recalculate of one row', async () => {
    expect(await fixture.counters.recalculate({ target: Author, ids: ids.slice(0, 1) })).toMatchObject({
      fixedCount: 2,
    });
    expect(await wrong()).toEqual(ids.slice(1));
  });

  test('flush: what was lost is counted when it resolves', async () => {
    await fixture.counters.flush();
    expect(await wrong()).toEqual([]);
  });

  test.each(['flush', 'recalculate'] as const)('%s in transactions that hold every connection', async (method) => {
    const { dataSource, counters } = fixture;
    const every = Array.from({ length: 20 }, () => dataSource.createQueryRunner());
    for (const runner of every) await runner.startTransaction();
    await counters[method]();
    for (const runner of every) await runner.rollbackTransaction().then(() => runner.release());
    expect(await wrong()).toEqual([]);
  });

  test('flush of one row', async () => {
    await fixture.counters.flush({ target: Author, ids: ids.slice(0, 1) });
    expect(await wrong()).toEqual(ids.slice(1));
    await fixture.counters.recalculate();
  });

  test('what is written afterwards is applied by a flush', async () => {
    await fixture.dataSource.manager.insert(Post, { authorId: ids[1] ?? 0 });
    await fixture.counters.flush();
    expect(await wrong()).toEqual([]);
    await fixture.dataSource.manager.insert(Post, { authorId: ids[1] ?? 0 });
    await fixture.counters.flush();
    expect(await wrong()).toEqual([]);
  });
});
