import { hostname } from 'node:os';

import { type Redis, ReplyError } from 'ioredis';

import type { BufferHome, SeenHome } from '../../../dialects/postgres/installation/buffer-home';
import { BufferUnavailableError } from '../../../errors';
import { tokenKey } from './keys';

/** The place where an installation keeps what is pending, recognised by a token that it puts there. */
export class RedisHome implements BufferHome {
  readonly prefix: string;
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, prefix: string, installation: string) {
    this.prefix = prefix;
    this.#redis = redis;
    this.#key = tokenKey(prefix, installation);
  }

  /** @throws BufferUnavailableError */
  async look(): Promise<SeenHome> {
    const redis = this.#redis;
    const { host = 'localhost', port = 6379, path, db = 0 } = redis.options;
    const [token, info] = await Promise.all([redis.get(this.#key), redis.info('server').catch(refusedInfo)]).catch(
      unavailable,
    );
    const run = /^run_id:(\w+)/m.exec(info)?.[1];
    return {
      token,
      server: run === undefined ? '' : `${run}/${db}`,
      address: `${addressOf(redis) ?? path ?? `${host}:${port}`}/${db}`,
      name: `${path ?? `${host}:${port}`}${db === 0 ? '' : `, database ${db}`}`,
    };
  }

  /** @throws BufferUnavailableError */
  async put(token: string): Promise<void> {
    await this.#redis.set(this.#key, token).catch(unavailable);
  }
}

/** Of the other end, under any name that leads there; that of the machine itself is another one on every machine. */
function addressOf({ stream }: { readonly stream?: Redis['stream'] }): string | null {
  const { remoteAddress, remotePort } = (stream ?? {}) as { remoteAddress?: string; remotePort?: number };
  if (remoteAddress === undefined) return null;
  const address = remoteAddress.replace(/^::ffff:/, '');
  const isLocal = address === '::1' || address.startsWith('127.');
  return `${isLocal ? hostname() : address}:${remotePort}`;
}

/** Managed services may forbid INFO; a connection that is down is another matter. */
function refusedInfo(error: unknown): string {
  if (error instanceof ReplyError) return '';
  throw error;
}

function unavailable(cause: unknown): never {
  const message = `Redis did not answer when asked whether it is the one of this installation: ${(cause as Error).message}. The next sweep asks again`;
  throw new BufferUnavailableError(message, { call: 'token' }, { cause });
}
