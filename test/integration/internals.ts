import { Redis } from 'ioredis';
import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import type { CountersOptions } from 'typeorm-counter-cache';

import { closeConnections, openConnections } from '../../src/engines/buffered/redis/connection';
import { RedisBuffer } from '../../src/engines/buffered/redis/redis-buffer';
import { shardOf } from '../../src/model/shard';
import { resolveDefinitions } from '../../src/declare/registry';
import { targetId } from '../../src/model/target';
import { Events } from '../../src/events';
import { handOverWakeUp } from '../../src/model/own-wake-up';
import type { JobContext } from '../../src/engines/context';
import { resolveOptions } from '../../src/options';
import { tablePaths } from '../../src/dialects/postgres/installation/tables';
import { keysOf, redisUrl } from '../support/redis';
import { TEST_OPTIONS } from '../support/setup';

/** One target row, as buffer and jobs name it. */
export interface Place {
  readonly target: string;
  readonly shard: number;
}

/** What the library keeps to itself: for tests that step through a job, or look into Redis. */
export interface Internals {
  readonly installation: string;
  readonly redis: Redis;
  /** What a worker of this DataSource works with; adds no wake-ups. */
  readonly context: JobContext;
  /** Where deltas of a row wait; `id` is its one-column key. */
  place(entity: EntityTarget<ObjectLiteral>, id: string | number): Place;
  /** Keys of the installation that mention a target. */
  mentions(place: Place): Promise<string[]>;
  close(): Promise<void>;
}

/** Opens the internals beside the `Counters` of an initialized DataSource, with the same options. */
export async function openInternals(
  dataSource: DataSource,
  counters: Partial<CountersOptions> = {},
  url = redisUrl(),
): Promise<Internals> {
  const installation = await installationOf(dataSource);
  const options = resolveOptions({ redis: url, ...TEST_OPTIONS, ...counters });
  const { prefix, shards, window } = options;
  const connections = await openConnections(url, options, () => undefined);
  const redis = new Redis(url);
  const context: JobContext = {
    dataSource,
    tables: tablePaths(dataSource),
    definitions: resolveDefinitions(dataSource),
    buffer: new RedisBuffer({ ...connections, prefix, installation, shards, window, durableRedis: false }),
    options,
    events: new Events((error) => process.emitWarning(String(error))),
    schedule: async () => undefined,
    handOver: handOverWakeUp,
    isStopping: () => false,
  };
  return {
    installation,
    redis,
    context,
    place(entity, id) {
      const targetTable = [...context.definitions.targetTables.values()].find(
        ({ metadata }) => metadata === dataSource.getMetadata(entity),
      );
      const target = targetId(targetTable?.id ?? '', [String(id)]) ?? '';
      return { target, shard: shardOf(target, shards) };
    },
    mentions: ({ target, shard }) => mentions(redis, `{${prefix}:${installation}:${shard}}:*`, target),
    async close() {
      redis.disconnect();
      await closeConnections(connections);
    },
  };
}

/** The id in every key and queue name of a database. */
export async function installationOf(dataSource: DataSource): Promise<string> {
  const rows: { value: string }[] = await dataSource.query(
    `SELECT "value" FROM "counter_cache_state" WHERE "id" = 'installation'`,
  );
  return rows[0]?.value ?? '';
}

async function mentions(redis: Redis, pattern: string, target: string): Promise<string[]> {
  const tablesKey = (await keysOf(redis, pattern)).find((key) => key.endsWith(':tables'));
  const inner = tablesKey === undefined ? null : await innerName(redis, tablesKey, target);
  const names = [target, inner ?? target].map((name) => name.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`));
  const mentioned = new RegExp(`(?<![\\w%])(${names.join('|')})(?![\\w%])`);
  const found: string[] = [];
  for (const key of await keysOf(redis, pattern)) if (mentioned.test(await contents(redis, key))) found.push(key);
  return found.map((key) => key.slice(key.lastIndexOf(':') + 1)).toSorted();
}

/** The name of a target in the keys of a shard, where a code stands for its table; `null` when it has none there. */
export async function innerName(redis: Redis, tablesKey: string, target: string): Promise<string | null> {
  const at = target.lastIndexOf(':');
  const code = await redis.hget(tablesKey, target.slice(0, at));
  return code === null ? null : `${code}${target.slice(at)}`;
}

async function contents(redis: Redis, key: string): Promise<string> {
  const type = await redis.type(key);
  if (type === 'hash') return JSON.stringify(await redis.hgetall(key));
  if (type === 'zset') return JSON.stringify(await redis.zrange(key, 0, -1));
  return type === 'set' ? JSON.stringify(await redis.smembers(key)) : '';
}
