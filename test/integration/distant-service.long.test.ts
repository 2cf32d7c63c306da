import { redisUrl } from '../support/redis';
import { startProxy } from '../support/proxy';
import { setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { CountedAuthor, CountedPost, LikedAuthor, LikedPost, startService } from './services';

const ROUNDS = 5;

/** ms: in each race for a wake-up that is due, the service next to Redis comes first. */
const LATENCY = 40;

test.each(['buffered', 'outbox'] as const)(
  'a service far from Redis gets what only it knows, beside one that is first at every wake-up: %s',
  async (mode) => {
    // No sweep helps.
    const options = { mode, shards: 2, sweepInterval: 600_000 };
    const fixture = await setup({ entities: [Author, Post], counters: options });
    const redis = new URL(redisUrl());
    const proxy = await startProxy({ host: redis.hostname, port: Number(redis.port) }, undefined, LATENCY);
    const direct = redis.href;
    redis.host = `127.0.0.1:${proxy.port}`;
    const services = [
      await startService(fixture.databaseUrl, [CountedAuthor, CountedPost], { ...options, redis: direct }),
      await startService(fixture.databaseUrl, [LikedAuthor, LikedPost], { ...options, redis: redis.href }),
    ];
    const { manager } = fixture.dataSource;
    const authors = await manager.save(
      Author,
      Array.from({ length: 4 }, () => ({ name: 'a' })),
    );
    for (let round = 1; round <= ROUNDS; round++) {
      await manager.insert(
        Post,
        authors.map(({ id }) => ({ authorId: id, likes: 2 })),
      );
      await until(
        async () => (await manager.countBy(Author, { postsCount: round, likesSum: 2 * round })) === authors.length,
      );
    }
    for (const service of services) await service.close();
    await fixture.counters.flush();
    await fixture.close();
    await proxy.close();
  },
);
