import { Redis } from 'ioredis';

import { shardKey } from '../../../src/engines/buffered/redis/keys';
import { keysOf, redisUrl } from '../../support/redis';
import type { Fixture } from '../../support/setup';
import { VICTIM } from './victim';

const STATE = `
  SELECT (SELECT value FROM counter_cache_state WHERE id = 'installation') AS installation,
    (SELECT json_object_agg(shard, epoch) FROM counter_cache_shard) AS epochs,
    (SELECT count(*)::int FROM counter_cache_shard WHERE rebuilding IS NOT NULL)
      + (SELECT count(*)::int FROM counter_cache_state WHERE starts_with(id, 'recount:'))
      + (SELECT count(*)::int FROM counter_cache_outbox) AS open,
    (SELECT count(*)::int FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = '${VICTIM}') AS connected`;

interface State {
  readonly installation: string;
  readonly epochs: Readonly<Record<string, number>>;
  readonly open: number;
  readonly connected: number;
}

/**
 * Nothing is pending, announced, claimed, requested or being rebuilt, and but for `sleeping` no victim is connected to
 * the database any more.
 */
export async function isQuiet({ counters, dataSource }: Fixture, sleeping = false): Promise<boolean> {
  const [state] = await dataSource.query<State[]>(STATE);
  if (state === undefined || state.open > 0 || (state.connected > 0 && !sleeping) || !(await epochsAgree(state)))
    return false;
  const { dirty, batches, intents, recalculations, failed } = await counters.status();
  return dirty + batches + intents + recalculations + failed.length === 0;
}

/** What waits may be applied. */
export async function isDue({ counters }: Fixture): Promise<boolean> {
  const { oldestDue } = await counters.status();
  return oldestDue !== null && oldestDue <= Date.now();
}

/** Takes everything that the buffer holds, as a Redis does that was restarted empty. */
export async function deleteShards({ dataSource }: Fixture): Promise<void> {
  const [state] = await dataSource.query<State[]>(STATE);
  await withRedis(async (redis) => {
    const keys = await keysOf(redis, `{cc:${state?.installation ?? ''}:*`);
    expect(keys).not.toEqual([]);
    await redis.del(keys);
  });
}

/** A lost shard that nobody has found yet looks as quiet as any. */
async function epochsAgree({ installation, epochs }: State): Promise<boolean> {
  return withRedis(async (redis) => {
    for (const [shard, epoch] of Object.entries(epochs)) {
      const found = await redis.hget(shardKey('cc', installation, Number(shard), 'meta'), 'epoch');
      if (Number(found) !== epoch) return false;
    }
    return true;
  });
}

async function withRedis<T>(use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(redisUrl());
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
