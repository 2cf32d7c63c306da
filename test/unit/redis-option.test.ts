import { EventEmitter } from 'node:events';

import { Cluster, Redis } from 'ioredis';

import { ConfigurationError } from '../../src/errors';
import { resolveOptions } from '../../src/options';

function messageOf(redis: unknown): string {
  try {
    resolveOptions({ redis } as never);
    return '';
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message;
    throw error;
  }
}

/** Has the members of a client of another library, which would be taken for options of ioredis. */
class NodeRedisClient extends EventEmitter {
  readonly options = { socket: { host: 'elsewhere' } };
  readonly isOpen = false;
  sendCommand(): void {}
  duplicate(): this {
    return this;
  }
}

class Settings {
  host = 'localhost';
  port = 6379;
}

describe('the redis option takes', () => {
  it.each<[string, unknown]>([
    ['a URL', 'redis://localhost'],
    ['a URL with everything', 'rediss://user:p%40ss@redis.example.com:6380/3?family=6&connectTimeout=500'],
    ['an IPv6 address', 'redis://[::1]:6379'],
    ['a path of a socket', '/run/redis.sock?db=2'],
    ['options', { host: 'localhost', port: 6379, db: 1, username: 'u', password: 'p', tls: { ca: 'x' } }],
    ['options as a deployment gives them', { host: '::1', port: '6379', db: '0', tls: true, password: undefined }],
    ['options of a class', new Settings()],
    ['options of Sentinel', { sentinels: [{ host: 'a', port: 26379 }], name: 'primary', sentinelTLS: {} }],
    ['options of a newer Node', { host: 'localhost', tls: { quantumSafe: true } }],
    ['a client', new Redis({ lazyConnect: true })],
  ])('%s', (_name, redis) => {
    expect(messageOf(redis)).toBe('');
  });
});

describe('the redis option refuses, with a suggestion,', () => {
  it.each<[string, unknown, string]>([
    ['{ url }', { url: 'redis://elsewhere' }, "unknown option 'redis.url': give the URL itself: redis: 'redis://…'"],
    ['{ connection }', { connection: { host: 'x' } }, "unknown option 'redis.connection': give what is in it"],
    ['node-redis options', { socket: { host: 'x' } }, 'ioredis takes { host, port, tls } directly'],
    ['a misspelt option', { hots: 'x' }, "unknown option 'redis.hots', did you mean 'host'?"],
    ['an option of another name', { host: 'x', hostname: 'y' }, "'redis.hostname': did you mean 'host'?"],
    ['an option that nobody has', { host: 'x', frobnicate: 1 }, "'redis.frobnicate', which ioredis does not have"],
    ['a misspelt TLS option', { tls: { rejectUnauthorised: false } }, "did you mean 'rejectUnauthorized'?"],
    ['tls of another type', { tls: 5 }, "expected 'redis.tls' to be an object of options of tls.connect(), got: 5"],
    ['a misspelt option of Sentinel', { sentinels: [{ hots: 'x' }] }, "'redis.sentinels[].hots', did you mean 'host'?"],
    ['no Sentinel', { sentinels: [] }, "expected 'redis.sentinels' to be a list of { host, port }, got: a list of 0"],
    ['a misspelt option in a URL', 'redis://x?famly=6', "unknown option '?famly', did you mean 'family'?"],
    ['a node-redis client', new NodeRedisClient(), 'got: a NodeRedisClient. Clients of other libraries'],
    ['a Cluster', new Cluster(['x'], { lazyConnect: true }), 'got: a Cluster, which is not supported yet'],
    ['a list', ['redis://a'], 'got: a list of 1'],
    ['a Promise', Promise.resolve('redis://a'), 'got: a Promise. Await it first'],
    ['a URL object', new URL('redis://a'), 'got: a URL object. Give its text: redis: url.href'],
    ['a Map', new Map([['host', 'a']]), 'got: a Map'],
    ['a function', () => 'redis://a', 'got: a function'],
    [
      'a host with a port',
      { host: '10.0.0.1:6379' },
      "expected 'redis.host' to be the name or address of a host alone",
    ],
    ['a port out of range', { port: 66_000 }, "expected 'redis.port' to be a port from 1 to 65535, got: 66000"],
    ['a port that is none', { port: NaN }, "expected 'redis.port'"],
    ['a database that is none', { db: 'users' }, "expected 'redis.db' to be the index of a database, 0 or more"],
    ['a database in a URL that is none', 'redis://host/users', 'to end with the index of a database'],
    ['a key with line breaks', { 'a\nb': 1 }, String.raw`'redis.a\nb'`],
  ])('%s', (_name, redis, problem) => {
    expect(messageOf(redis)).toContain(problem);
  });
});

describe('a message never has the password', () => {
  const SECRET = 's3cret';

  it.each<[string, unknown]>([
    ['a URL without its scheme', `default:${SECRET}@host`],
    ['a URL without its scheme and user', `:${SECRET}@host:6379`],
    ['a URL of another scheme', `http://default:${SECRET}@host`],
    ['a misspelt scheme', `redis:/default:${SECRET}@host`],
    ['a scheme without slashes', `redis:default:${SECRET}@host`],
    ['a URL without a host', `redis://default:${SECRET}`],
    ['a password with a slash', `redis://default:12/${SECRET}@host`],
    ['a password with a hash', `redis://default:12#${SECRET}@host`],
    ['a password with a question mark', `redis://default:12?${SECRET}@host`],
    ['a password with a percent sign', `redis://default:%zz${SECRET}@host`],
    ['a port out of range', `redis://default:${SECRET}@host:99999`],
    ['a database that is none', `redis://default:${SECRET}@host/x`],
    ['a key prefix', `redis://default:${SECRET}@host?keyPrefix=x`],
    ['a misspelt option', `redis://default:${SECRET}@host?tsl=1`],
    ['a password in the query', `redis://host?pasword=${SECRET}`],
    ['a password alone', SECRET],
    ['a URL in a list', [`redis://default:${SECRET}@host`]],
    ['a URL as an option', { url: `redis://default:${SECRET}@host` }],
    ['a URL as the host', { host: `redis://default:${SECRET}@host` }],
    ['credentials in the host', { host: `default:${SECRET}@host` }],
    ['a list as the password', { password: [SECRET] }],
    ['a URL as the port', { port: `redis://:${SECRET}@host` }],
    ['a password as the database', { db: SECRET }],
    ['tls of another type', { tls: [SECRET] }],
    ['sentinels of another type', { sentinels: `redis://:${SECRET}@host` }],
    ['sentinels that are URLs', { sentinels: [`redis://:${SECRET}@host`] }],
    ['a URL object', new URL(`redis://default:${SECRET}@host`)],
    ['a Promise', Promise.resolve(`redis://default:${SECRET}@host`)],
  ])('%s', (_name, redis) => {
    const message = messageOf(redis);
    expect(message).not.toBe('');
    expect(message).not.toContain(SECRET);
  });

  it('nor what an option of another name holds', () => {
    const given = { redis: 'redis://localhost', mode: `redis://u:${SECRET}@host`, prefix: `a:${SECRET}@b` };
    expect(() => resolveOptions(given as never)).toThrow(ConfigurationError);
    expect(() => resolveOptions(given as never)).not.toThrow(SECRET);
  });
});
