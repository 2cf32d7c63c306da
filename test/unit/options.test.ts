import { Cluster, Redis } from 'ioredis';

import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';
import { ConfigurationError } from '../../src/errors';
import { resolveOptions } from '../../src/options';

const redis = 'redis://localhost';
const method = (): void => undefined;
const buffer = new MemoryBuffer();
const scheduler = { schedule: method, start: method, close: method };

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveOptions(options as never);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

describe('resolveOptions', () => {
  it('fills in the defaults and freezes', () => {
    const options = resolveOptions({ redis });
    expect(options).toEqual({
      redis,
      prefix: 'cc',
      shards: 16,
      wait: 10_000,
      recalculationDelay: 21_600_000,
      mode: 'buffered',
      durableRedis: false,
      window: 1_000,
      sweepInterval: 30_000,
      batchSize: 1_000,
      redisTimeout: 50,
      attachTimeout: 5_000,
      intentTimeout: 60_000,
      claimTimeout: 60_000,
      ledgerRetention: 604_800_000,
      outboxRetention: 0,
      maxPendingRepairs: 100_000,
      buffer: null,
      scheduler: null,
      queue: {},
      logger: expect.anything() as unknown,
    });
    expect(Object.isFrozen(options)).toBe(true);
    expect(Object.isFrozen(options.queue)).toBe(true);
  });

  it('keeps what is given, and takes undefined for absent', () => {
    const given = { redis, wait: 0, shards: undefined, mode: 'outbox', queue: { prefix: '{q}' } } as const;
    expect(resolveOptions(given)).toMatchObject({
      wait: 0,
      shards: 16,
      mode: 'outbox',
      queue: { prefix: '{q}' },
    });
  });

  it('needs no redis when buffer and scheduler are given', () => {
    expect(resolveOptions({ buffer, scheduler } as never)).toMatchObject({ redis: null, buffer, scheduler });
  });

  it('takes a client as it is', () => {
    const client = new Redis({ lazyConnect: true });
    expect(resolveOptions({ redis: client }).redis).toBe(client);
  });

  it.each<[string, unknown, string]>([
    ['options that are no object', 5, 'expected options to be an object, got: 5'],
    ['an unknown option', { redis, shard: 4 }, "unknown option 'shard', did you mean 'shards'?"],
    ['an unknown option like no other', { redis, xyzzy: 4 }, "unknown option 'xyzzy', expected one of redis, prefix"],
    ['no redis', {}, "expected 'redis' to be an ioredis client, options or a URL, got: undefined"],
    ['only a buffer', { buffer }, "or give both 'buffer' and 'scheduler'"],
    ['redis of another type', { redis: 5 }, "expected 'redis' to be an ioredis client, options or a URL, got: 5"],
    ['an empty URL', { redis: '' }, 'got: ""'],
    ['a URL without its scheme', { redis: 'localhost:6379' }, "expected the URL 'redis' to begin with redis://"],
    ['a URL of another scheme', { redis: 'http://localhost:6379' }, 'got: "http://localhost:6379"'],
    [
      'a key prefix in options',
      { redis: { keyPrefix: 'x:' } },
      "expected 'redis' to have no 'keyPrefix', got one: BullMQ's scripts",
    ],
    ['a key prefix in the URL', { redis: `${redis}?keyPrefix=x` }, "expected 'redis' to have no 'keyPrefix'"],
    [
      'a key prefix in a client',
      { redis: new Redis({ lazyConnect: true, keyPrefix: 'x:' }) },
      "expected 'redis' to have no 'keyPrefix'",
    ],
    [
      'a cluster',
      { redis: new Cluster(['localhost'], { lazyConnect: true }) },
      'got: a Cluster, which is not supported yet',
    ],
    ['no shards', { redis, shards: 0 }, "expected 'shards' to be a whole number from 1 to 1024, got: 0"],
    ['a fraction', { redis, wait: 0.5 }, "expected 'wait' to be a whole number of at least 0, got: 0.5"],
    ['a negative wait', { redis, wait: -1 }, "expected 'wait'"],
    [
      'a timer that overflows',
      { redis, sweepInterval: 2 ** 31 },
      "expected 'sweepInterval' to be a whole number from 1 to 2147483647",
    ],
    [
      'text for a number',
      { redis, window: '1s' },
      'expected \'window\' to be a whole number from 1 to 2147483647, got: "1s"',
    ],
    ['recalculationDelay 0', { redis, recalculationDelay: 0 }, "expected 'recalculationDelay'"],
    ['an endless batch', { redis, batchSize: Infinity }, "expected 'batchSize'"],
    ['redisTimeout 0', { redis, redisTimeout: 0 }, "expected 'redisTimeout'"],
    ['attachTimeout 0', { redis, attachTimeout: 0 }, "expected 'attachTimeout'"],
    ['intentTimeout 0', { redis, intentTimeout: 0 }, "expected 'intentTimeout'"],
    ['claimTimeout 0', { redis, claimTimeout: 0 }, "expected 'claimTimeout'"],
    ['ledgerRetention 0', { redis, ledgerRetention: 0 }, "expected 'ledgerRetention'"],
    ['a negative maxPendingRepairs', { redis, maxPendingRepairs: -1 }, "expected 'maxPendingRepairs'"],
    [
      'a prefix with braces',
      { redis, prefix: '{a}' },
      'expected \'prefix\' to be a text without spaces, colons and braces, got: "{a}"',
    ],
    ['a negative outboxRetention', { redis, outboxRetention: -1 }, "expected 'outboxRetention'"],
    ['another mode', { redis, mode: 'none' }, "expected 'mode' to be one of 'buffered', 'outbox', got: \"none\""],
    [
      'a buffer that is none',
      { redis, buffer: {} },
      "expected 'buffer' to have the methods incarnation, epoch, raiseEpoch, clear, announce, confirm, discard, add, claim",
    ],
    [
      'a buffer of an older release',
      { redis, buffer: Object.assign(new MemoryBuffer(), { takeOver: undefined, postpone: undefined }) },
      'got: a MemoryBuffer without takeOver, postpone',
    ],
    ['a scheduler that is none', { redis, scheduler: { start: method } }, 'without schedule, close'],
    [
      'a logger that is none',
      { redis, logger: { warn: method } },
      "expected 'logger' to have the methods error, got: an object without error",
    ],
    ['a queue that is none', { redis, queue: 'q' }, 'expected \'queue\' to be { prefix, jobOptions }, got: "q"'],
    ['an unknown queue option', { redis, queue: { prefx: 1 } }, "unknown option 'queue.prefx', did you mean 'prefix'?"],
    ['a queue prefix that is none', { redis, queue: { prefix: '' } }, "expected 'queue.prefix' to be a text"],
    [
      'job options that are none',
      { redis, queue: { jobOptions: 5 } },
      "expected 'queue.jobOptions' to be an object, got: 5",
    ],
    [
      'job options of ours',
      { redis, queue: { jobOptions: { jobId: 'x' } } },
      "expected 'queue.jobOptions' not to set 'jobId'",
    ],
  ])('refuses %s', (_name, options, problem) => {
    expect(problemsOf(options)).toEqual([expect.stringContaining(problem)]);
  });

  it('reports every mistake at once', () => {
    expect(problemsOf({ shard: 1, wait: -1, prefix: '' })).toHaveLength(4);
  });
});
