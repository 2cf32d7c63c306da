import type { DataSource } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';

import { execute } from '../../support/database';
import { Author, Post } from '../blog';
import { attached } from './attached';
import { dropOwnTables, EMPTY, expectFresh } from './emptied';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

describe.each(Object.keys(EMPTY))('reset() after %s', (name) => {
  const empty = EMPTY[name] as (dataSource: DataSource) => Promise<unknown>;

  describe.each(MODES)('inline, %s', (mode) => {
    test('what was refused, and waits, is forgotten; again and again', async () => {
      const here = await attached([Author, Post], { inline: true, mode });
      const { dataSource, counters } = here;
      for (let i = 0; i < 3; i++) {
        const { id } = await dataSource.manager.save(Author, { name: 'old' });
        await dataSource.query('ALTER TABLE author ADD CONSTRAINT small CHECK ("likesSum" < 100)');
        await dataSource.manager.insert(Post, { authorId: id, likes: 200 });
        expect(await counters.status()).toMatchObject({ failed: [expect.anything()] });
        await dataSource.query('ALTER TABLE author DROP CONSTRAINT small');
        await empty(dataSource);
        await counters.reset();
        expect(await counters.status()).toMatchObject({ dirty: 0, failed: [] });
        await expectFresh(here);
        await empty(dataSource);
        await counters.reset();
      }
      await here.close();
    });
  });
});

test('reset() makes the tables of counters that were attached late', async () => {
  const here = await attached([Author, Post]);
  const { dataSource, counters } = here;
  await dropOwnTables(here.database.url);
  await counters.reset();
  const rows = await execute(here.database.url, `SELECT count(*)::int AS n FROM counter_cache_shard`);
  expect(rows).toEqual([{ n: 16 }]);
  await dataSource.manager.save(Author, { name: 'a' });
  await counters.expectNoDrift();
  await here.close();
});

test('reset() of closed counters, or before initialize(), says so', async () => {
  const here = await attached([Author, Post]);
  await here.counters.close();
  await expect(here.counters.reset()).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(here.counters.flushAll()).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(here.counters.expectNoDrift()).rejects.toMatchObject({ code: 'CLOSED' });
  await here.close();
});
