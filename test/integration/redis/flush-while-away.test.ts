import { type Fixture, setup } from '../../support/setup';
import { type RedisServer, startRedis } from '../../support/services';
import { until } from '../../support/until';
import { Author, Post } from '../blog';

describe('Redis goes between an announcement and its confirmation', () => {
  let redis: RedisServer;
  let fixture: Fixture;

  beforeEach(async () => {
    redis = await startRedis();
    fixture = await setup({ entities: [Author, Post], counters: { redis: redis.url, redisTimeout: 3_000 } });
  });
  afterEach(async () => {
    await fixture.close({ leakCheck: false });
    await redis.stop();
  });

  test('flush() rejects, what the outbox holds is applied, and the rest is counted when Redis is back', async () => {
    const { dataSource, counters } = fixture;
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    let degraded = 0;
    counters.on('degraded', () => (degraded += 1));
    // Right after COMMIT, before the confirmation is sent: that waits for the end of the turn.
    const kills: Promise<void>[] = [];
    const own = dataSource.createQueryRunner();
    dataSource.subscribers.unshift({
      // The library commits as well, of its own accord.
      afterQuery({ query, queryRunner }) {
        if (query === 'COMMIT' && queryRunner === own) kills.push(redis.kill());
      },
    });
    await own.startTransaction();
    await own.manager.insert(Post, { authorId: id });
    await own.commitTransaction();
    await own.release();
    await Promise.all(kills);
    await until(() => degraded > 0);
    await dataSource.manager.insert(Post, { authorId: id });
    await expect(counters.flush()).rejects.toMatchObject({
      code: 'BUFFER_UNAVAILABLE',
      // Options of the client are the library's own.
      message: expect.not.stringMatching(/maxRetriesPerRequest|enableOfflineQueue|\.\./) as unknown,
    });
    expect((await dataSource.manager.findOneByOrFail(Author, { id })).postsCount).toBe(1);
    await redis.restart({ keepData: false });
    await until(async () => {
      await counters.flush().catch(() => undefined);
      await counters.recalculate().catch(() => undefined);
      return (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 2;
    });
  });
});
