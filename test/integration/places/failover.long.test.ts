import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { deleteKeysOf, redisUrl } from '../../support/redis';
import { type PostgresServer, startPostgres } from '../../support/services';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, ENTITIES, execute, Post } from './schemas';

const VERSIONS = [18, 15] as const;

/** A copy of the server at its present state goes on where it stopped, on a timeline of its own. */
async function promote(server: PostgresServer): Promise<void> {
  const [row] = await execute(server.url, 'SHOW data_directory');
  writeFileSync(join(String(row?.['data_directory']), 'standby.signal'), '', { mode: 0o666 });
  await server.restart();
  await execute(server.url, 'SELECT pg_promote()');
}

async function installationOf(url: string): Promise<string> {
  const [row] = await execute(url, `SELECT value FROM counter_cache_state WHERE id = 'installation'`);
  return String(row?.['value']);
}

describe.each(VERSIONS)('a standby is promoted beneath living processes, PostgreSQL %i', (version) => {
  let server: PostgresServer;
  let sources: DataSource[];
  let counters: Counters[];
  const errors: unknown[] = [];
  const installations = new Set<string>();

  beforeAll(async () => {
    server = await startPostgres({ version });
    sources = [];
    counters = [];
    for (const mode of ['buffered', 'outbox'] as const) {
      const source = newDataSource(server.url, [...ENTITIES]);
      const one = await Counters.attach(source, { redis: redisUrl(), ...TEST_OPTIONS, mode });
      one.on('error', (error) => errors.push(error));
      await source.initialize();
      (source.driver as unknown as { master: Pool }).master.on('error', () => undefined);
      sources.push(source);
      counters.push(one);
    }
    await counters[0]?.startWorker();
  });
  afterAll(async () => {
    for (const one of counters) await one.close();
    for (const source of sources) await source.destroy();
    await server.stop();
    for (const id of installations) await deleteKeysOf(id);
  });

  test('they open the new installation, and everything is recounted: nothing is missing, nothing is counted twice', async () => {
    const [first, second] = sources as [DataSource, DataSource];
    await first.manager.save(Author, { id: 1 });
    const write = async (): Promise<void> => {
      await first.manager.insert(Post, { authorId: 1 });
      await second.manager.insert(Post, { authorId: 1 });
    };
    for (let i = 0; i < 5; i++) await write();
    const before = await installationOf(server.url);
    installations.add(before);
    await promote(server);
    for (let i = 0; i < 5; i++) await write();
    const after = await until(async () => {
      const id = await installationOf(server.url);
      return id === before ? null : id;
    });
    installations.add(after);
    for (let i = 0; i < 5; i++) await write();
    const counts = () =>
      execute(server.url, 'SELECT "postsCount" AS counted, (SELECT count(*)::int FROM post) AS posts FROM author');
    await until(async () => {
      const [row] = await counts();
      const [left] = await execute(
        server.url,
        `SELECT count(*)::int AS n FROM counter_cache_state WHERE starts_with(id, 'recount:')`,
      );
      return row?.['counted'] === 30 && left?.['n'] === 0;
    });
    for (const one of counters) expect(await one.verify()).toMatchObject({ fixedCount: 0 });
    expect(await counts()).toEqual([{ counted: 30, posts: 30 }]);
    expect(errors.filter((error) => String(error).includes('this database is a copy'))).toHaveLength(1);
  });
});
