import { Redis } from 'ioredis';

/** URL of the Redis of this run. It is shared by all test files: delete no keys but your own, and never flush it. */
export function redisUrl(): string {
  const url = process.env['REDIS_URL'];
  if (url === undefined)
    throw new Error('REDIS_URL is not set: tests run through "npm test", which starts the servers');
  return url;
}

/** All keys that match a pattern. */
export async function keysOf(redis: Redis, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, page] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
    keys.push(...page);
    cursor = next;
  } while (cursor !== '0');
  return keys;
}

/** Deletes what the buffer and the queue of an installation keep in the Redis of this run. */
export async function deleteKeysOf(installation: string): Promise<void> {
  const redis = new Redis(redisUrl());
  try {
    for (const pattern of [`{cc:${installation}:*`, `bull:cc-${installation}:*`]) {
      const keys = await keysOf(redis, pattern);
      if (keys.length > 0) await redis.del(keys);
    }
  } finally {
    redis.disconnect();
  }
}
