import type { CountersOptions } from 'typeorm-counter-cache';

import { redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { describeVersions } from '../support/versions';
import { Author, Post } from './blog';
import { CountedAuthor, CountedPost, LikedAuthor, LikedPost, type Service, startService } from './services';

const ROUNDS = 20;

/** A hand-over takes some 50 ms, and a row that both want at once 500 ms; other tests run beside this one. */
const MEAN_LIMIT = 2_000;

describeVersions('two services, each of which knows one counter of a table', (server) => {
  test.each(['buffered', 'outbox'] as const)('apply what they know at once: %s', async (mode) => {
    // No sweep helps.
    const options: Partial<CountersOptions> = { mode, shards: 2, sweepInterval: 600_000 };
    const fixture: Fixture = await setup({ entities: [Author, Post], server: server(), counters: options });
    const services: Service[] = [];
    for (const entities of [
      [CountedAuthor, CountedPost],
      [LikedAuthor, LikedPost],
    ])
      services.push(await startService(fixture.databaseUrl, entities, { ...options, redis: redisUrl() }));
    const { manager } = fixture.dataSource;
    const authors = await manager.save(
      Author,
      Array.from({ length: 4 }, () => ({ name: 'a' })),
    );
    let waited = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      await manager.insert(
        Post,
        authors.map(({ id }) => ({ authorId: id, likes: 2 })),
      );
      const since = performance.now();
      await until(
        async () => (await manager.countBy(Author, { postsCount: round, likesSum: 2 * round })) === authors.length,
      );
      waited += performance.now() - since;
    }
    expect(waited / ROUNDS).toBeLessThan(MEAN_LIMIT);
    // Each says once that there is something which it does not know.
    const errors = services.flatMap((service) => service.errors);
    expect(errors.filter((error) => (error as { code?: string }).code !== 'STATE_MISMATCH')).toEqual([]);
    for (const service of services) await service.close();
    await fixture.counters.flush();
    await fixture.close();
  });
});
