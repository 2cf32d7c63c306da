import { Client } from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { type Counters, Counters as Library, counterCacheEntities, type CountersOptions } from 'typeorm-counter-cache';

import { serverUrl } from '../../support/database';
import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { insertFirstRows } from './first-rows';
import type { Journal } from './journal';
import { Random } from './random';
import { Requests } from './requests';
import { type Run, type RunOptions, versionOf } from './run-options';
import { ENTITIES } from './schema';
import { type Ground, PLAIN, type Surroundings, type Writer } from './settings/setting';
import { SOURCES } from './tables';
import { TRUTHS, wrongSql } from './truth';
import { ChosenKeys } from './world';

const SHARDS = 4;

/** Worlds beside the plain one: every third seed keeps deltas in SQL instead of Redis. */
function countersOf({ setting, seed }: RunOptions): Partial<CountersOptions> {
  const isOutbox = setting.name !== 'plain' && seed % 3 === 0;
  return { shards: SHARDS, mode: isOutbox ? 'outbox' : 'buffered' };
}

/** A world that is open, and how it ends. */
export interface OpenRun {
  readonly run: Run;
  readonly close: (options: { readonly leakCheck: boolean }) => Promise<void>;
}

/** Makes a world: its tables, what the setting changes about them, the library, the first rows, and the surroundings. */
export async function openRun(mode: Run['mode'], options: RunOptions, journal: Journal): Promise<OpenRun> {
  const { setting, seed, server } = options;
  const random = new Random(seed * 7_919);
  const entities = [...ENTITIES, ...(setting.entities ?? [])];
  const fixture = await setup({
    entities,
    server: server?.url,
    counters: countersOf(options),
    dataSource: ownOptions(journal),
    prepare: (url) => prepare(url, entities, async (sql) => setting.arrange?.(groundOf(sql, random, journal))),
  });
  const sql = new Client({ connectionString: fixture.databaseUrl });
  await sql.connect();
  fixture.dataSource.subscribers.unshift(journal);
  pretend(fixture.dataSource, options);
  const requests = await Requests.open(fixture, SHARDS);
  const partial = { ...options, mode, journal, fixture, requests, keys: new ChosenKeys(), sql };
  await insertFirstRows(partial);
  const attach = (url: string, startup: string) => attachTo(fixture, { url, startup, entities, options, journal });
  const opened = await setting.open?.({
    ...groundOf(sql, random, journal),
    fixture,
    journal,
    tally: options.tally,
    attach,
  });
  const surroundings: Surroundings = { ...PLAIN, ...opened };
  options.tally.expect(surroundings.writes);
  const run: Run = {
    ...partial,
    surroundings,
    wrongSql: wrongSql({ ...TRUTHS, ...setting.truths }, setting.keys),
    sources: [...SOURCES, ...(setting.sources ?? [])],
  };
  return {
    run,
    async close(how) {
      await surroundings.close();
      await sql.end();
      await requests.close();
      // What a writer announces while it closes is swept: it was quiet before, and nothing is left of its database.
      await fixture.close({ leakCheck: how.leakCheck && surroundings.writers.length === 0 });
      await setting.clean?.(server?.url ?? serverUrl(), fixture.databaseUrl);
    },
  };
}

function groundOf(sql: Client, random: Random, journal: Journal): Ground {
  return { sql, random, note: (text) => void journal.add(text) };
}

/** Tables as TypeORM makes them, and then otherwise: from here on it changes none. */
async function prepare(
  url: string,
  entities: readonly (new () => object)[],
  arrange: (sql: Client) => Promise<void>,
): Promise<void> {
  const dataSource = newDataSource(url, [...entities, ...counterCacheEntities]);
  await dataSource.initialize();
  await dataSource.destroy();
  const sql = new Client({ connectionString: url });
  await sql.connect();
  try {
    await arrange(sql);
  } finally {
    await sql.end();
  }
}

function ownOptions(logger: Journal): Partial<DataSourceOptions> {
  return {
    synchronize: false,
    logger,
    extra: { options: '-c deadlock_timeout=20ms -c jit=off' },
  };
}

/** Has the library take the server for an older one. */
function pretend(dataSource: DataSource, { seed, server }: RunOptions): void {
  if ((server?.version ?? 18) < 18 || versionOf(seed) === '18') return;
  (dataSource.driver as { version?: string }).version = versionOf(seed);
}

interface Attachment {
  readonly url: string;
  /** Options of each connection. */
  readonly startup: string;
  readonly entities: readonly (new () => object)[];
  readonly options: RunOptions;
  readonly journal: Journal;
}

async function attachTo(fixture: Fixture, attachment: Attachment): Promise<Writer & { readonly counters: Counters }> {
  const { url, startup, entities, options, journal } = attachment;
  const extra = { options: `-c jit=off ${startup}` };
  const dataSource = newDataSource(url, [...entities, ...counterCacheEntities], {
    synchronize: false,
    logger: journal,
    extra,
  });
  const counters = await Library.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...countersOf(options) });
  counters.on('error', (error) => fixture.errors.push(error));
  await dataSource.initialize();
  dataSource.subscribers.unshift(journal);
  pretend(dataSource, options);
  return { name: '', dataSource, counters };
}
