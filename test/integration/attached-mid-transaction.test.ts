import { Counters, counterCacheEntities } from 'typeorm-counter-cache';

import { createDatabase } from '../support/database';
import { deleteKeysOf, redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { Author, Post } from './blog';
import { installationOf } from './internals';

test('a transaction that is open when counters are attached counts what it writes afterwards, once', async () => {
  const database = await createDatabase();
  const dataSource = newDataSource(database.url, [Author, Post, ...counterCacheEntities]);
  await dataSource.initialize();
  const errors: unknown[] = [];
  let counters: Counters | null = null;
  try {
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    await dataSource.transaction(async (manager) => {
      counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
      counters.on('error', (error) => errors.push(error));
      await manager.insert(Post, { authorId: id });
      await manager.save(Post, { authorId: id });
    });
    const attached = counters as Counters | null;
    await attached?.settled();
    await attached?.flush();
    await attached?.flush();
    expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 2 });
    expect(await attached?.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
    expect(errors).toEqual([]);
  } finally {
    await (counters as Counters | null)?.close();
    const installation = await installationOf(dataSource);
    await dataSource.destroy();
    await database.drop();
    await deleteKeysOf(installation);
  }
});
