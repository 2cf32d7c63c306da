import type { DataSource } from 'typeorm';

import { execute } from '../../support/database';
import { Author, Post } from '../blog';
import type { Attached } from './attached';

/** The library's tables. */
export const OWN = ['state', 'shard', 'ledger', 'outbox'].map((name) => `counter_cache_${name}`);

/** Drops the library's tables behind the back of a process. */
export async function dropOwnTables(url: string): Promise<void> {
  await execute(url, `DROP TABLE ${OWN.join(', ')}`);
}

/** How a test suite empties a database, before it calls reset(). */
export const EMPTY: Readonly<Record<string, (dataSource: DataSource) => Promise<unknown>>> = {
  'TRUNCATE … RESTART IDENTITY of its own tables': (dataSource) =>
    dataSource.query('TRUNCATE post, author RESTART IDENTITY CASCADE'),
  'TRUNCATE of every entity': (dataSource) => {
    const names = dataSource.entityMetadatas.map(({ tableName }) => tableName).join(', ');
    return dataSource.query(`TRUNCATE ${names} RESTART IDENTITY CASCADE`);
  },
  'synchronize(true)': (dataSource) => dataSource.synchronize(true),
  "another connection that drops the library's tables": async (dataSource) => {
    const { url } = dataSource.options as { url: string };
    await dropOwnTables(url);
    await execute(url, 'TRUNCATE post, author RESTART IDENTITY CASCADE');
  },
};

/** A new author with the id of the first; nothing old may reach it. */
export async function expectFresh({ dataSource, counters, errors }: Attached): Promise<void> {
  const { manager } = dataSource;
  const { id } = await manager.save(Author, { name: 'new' });
  expect(id).toBe(1);
  await counters.retryFailed();
  await counters.flushAll();
  expect(await manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 0, likesSum: 0 });
  await manager.insert(Post, { authorId: id, likes: 2 });
  await counters.expectNoDrift();
  expect(await manager.findOneByOrFail(Author, { id })).toMatchObject({ postsCount: 1, likesSum: 2 });
  expect(errors.splice(0)).toEqual([]);
}
