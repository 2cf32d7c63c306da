import { setTimeout as delay } from 'node:timers/promises';

import { Redis, type RedisOptions, ReplyError } from 'ioredis';

import { BufferUnavailableError } from '../../errors';
import { within } from '../../time-limit';
import type { RedisConnections } from './redis-buffer';
import { defineScripts } from './scripts';

/** What the user gave: a client, options, or a URL. */
export type RedisSource = Redis | RedisOptions | string;

/** Milliseconds a worker's call may take: it moves thousands of targets. */
const WORKER_TIMEOUT = 10_000;

/** The connection options behind what the user gave. */
export function redisOptionsOf(source: RedisSource): RedisOptions {
  if (typeof source === 'string') return new Redis(source, { lazyConnect: true }).options;
  return source instanceof Object && 'options' in source && 'duplicate' in source ? source.options : source;
}

/**
 * Opens the two connections of the buffer. Neither resends a command whose reply was lost, and neither queues commands
 * while disconnected: a call fails fast, and what it did is found out by asking.
 *
 * @throws BufferUnavailableError when Redis does not answer within `attachTimeout`
 */
export async function openConnections(
  source: RedisSource,
  timeouts: { readonly redisTimeout: number; readonly attachTimeout: number },
  onError: (error: unknown) => void,
): Promise<RedisConnections> {
  const base: RedisOptions = {
    ...redisOptionsOf(source),
    lazyConnect: true,
    enableOfflineQueue: false,
    // The ready check is a command, and would be subject to the writers' time limit.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A master that was demoted answers READONLY until we reconnect.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
  };
  const writer = new Redis({ ...base, commandTimeout: timeouts.redisTimeout });
  const worker = new Redis({ ...base, commandTimeout: WORKER_TIMEOUT });
  for (const redis of [writer, worker]) {
    redis.on('error', onError);
    defineScripts(redis);
  }
  const attempt = new AbortController();
  try {
    // A server may accept connections and answer nothing; the writer's time limit is too short to ask it here.
    const answering = Promise.all([writer, worker].map(connected)).then(() => answers(worker, attempt.signal));
    await answered(answering, timeouts.attachTimeout, base);
    return { writer, worker };
  } catch (error) {
    attempt.abort();
    writer.disconnect();
    worker.disconnect();
    throw error;
  }
}

/** Resolves at the first successful connection, however many attempts it takes. */
async function connected(redis: Redis): Promise<void> {
  const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  redis.connect().catch(() => undefined);
  await ready;
}

/** Milliseconds between two questions whether Redis is ready. */
const PING_INTERVAL = 50;

/** A server that is loading its data refuses every command, and a connection may break again before it is used. */
async function answers(redis: Redis, signal: AbortSignal): Promise<void> {
  // Not the client's status: after a disconnect it may stay 'ready' for ever.
  while (!signal.aborted) {
    try {
      await redis.ping();
      return;
    } catch (error) {
      if (error instanceof ReplyError && !(error as Error).message.startsWith('LOADING')) throw error;
      await delay(PING_INTERVAL);
    }
  }
}

/** @throws BufferUnavailableError that names the server */
async function answered(
  work: Promise<unknown>,
  milliseconds: number,
  { host = 'localhost', port = 6379, path }: RedisOptions,
): Promise<void> {
  const where = path ?? `${host}:${port}`;
  const inTime = await within(
    work.then(() => true),
    milliseconds,
    false,
  ).catch((cause: unknown) => {
    throw new BufferUnavailableError(`Redis at ${where} refused: ${(cause as Error).message}`, { where }, { cause });
  });
  if (inTime) return;
  const advice = 'Start it, correct the `redis` option, or raise `attachTimeout`.';
  const reason = `Redis at ${where} did not answer within ${milliseconds} ms. ${advice}`;
  throw new BufferUnavailableError(reason, { where, milliseconds });
}

/** The policy under which Redis may drop pending deltas; `null` where it may not be asked. */
export async function evictionPolicy(redis: Redis): Promise<string | null> {
  try {
    const [, policy] = (await redis.config('GET', 'maxmemory-policy')) as [string, string];
    return policy;
  } catch {
    return null; // Managed services forbid CONFIG.
  }
}

/** How long a farewell to a Redis that may be frozen takes, ms. */
const QUIT_TIMEOUT = 1_000;

/** Ends both connections: politely while they work, at once otherwise. */
export async function closeConnections({ writer, worker }: RedisConnections): Promise<void> {
  await Promise.all(
    [writer, worker].map(async (redis) => {
      if (redis.status !== 'ready') redis.disconnect();
      else await quit(redis);
    }),
  );
}

async function quit(redis: Redis): Promise<void> {
  const farewell = redis.quit().then(
    () => true,
    () => false,
  );
  if (!(await within(farewell, QUIT_TIMEOUT, false))) redis.disconnect();
}
