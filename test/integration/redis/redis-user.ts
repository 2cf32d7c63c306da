import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Redis } from 'ioredis';

import type { RedisServer } from '../../support/services';

/** The rule for a user that docs/redis.md gives, without name and password. */
export function documentedRule(): readonly string[] {
  const text = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'redis.md'), 'utf8');
  const [, rule] = /^ACL SETUSER counters on >password (.+)$/m.exec(text) ?? [];
  if (rule === undefined) throw new Error('docs/redis.md has no rule');
  return rule.split(' ');
}

/** Makes a user, or gives it another rule; returns the URL to connect as it. */
export async function setUser(server: RedisServer, rule: readonly string[], name = 'counters'): Promise<string> {
  await withAdmin(server, (admin) => admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>s3cret', ...rule));
  return `redis://${name}:s3cret@127.0.0.1:${server.port}`;
}

/** Runs something as the default user, who may do everything. */
export async function withAdmin<T>(server: RedisServer, work: (admin: Redis) => Promise<T>): Promise<T> {
  const admin = new Redis(server.url);
  try {
    return await work(admin);
  } finally {
    admin.disconnect();
  }
}

/** Connections to the server, but for that which asks. */
export async function clientCount(server: RedisServer): Promise<number> {
  const list = await withAdmin(server, async (admin) => (await admin.client('LIST')) as string);
  return list.trim().split('\n').length - 1;
}
