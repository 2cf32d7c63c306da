import { setTimeout as delay } from 'node:timers/promises';

import { Redis, type RedisOptions, ReplyError } from 'ioredis';

import { isRedisClient } from '../../../check-redis';
import { BufferUnavailableError } from '../../../errors';
import { isWaiting, keepAlive } from '../../../liveness';
import { withTimeout } from '../../../time-limit';
import { addressOf, ConnectionAttempt } from './connection-attempt';
import { type AccessOptions, assertAccess } from './permissions';
import type { RedisConnections } from './redis-buffer';
import { defineScripts } from './scripts';

/** What the user gave: a client, options, or a URL. */
export type RedisSource = Redis | RedisOptions | string;

/** How long is waited, in ms. */
export interface ConnectionTimeouts {
  /** For a writer's call. */
  readonly redisTimeout: number;
  /** For the first answer. */
  readonly attachTimeout: number;
}

/** Milliseconds a worker's call may take: it moves thousands of targets. */
const WORKER_TIMEOUT = 10_000;

/** What would change the meaning of replies, or of the connection. */
const OURS = { stringNumbers: false, monitor: false, readOnly: false } as const satisfies RedisOptions;

/** The connection options behind what the user gave. */
export function redisOptionsOf(source: RedisSource): RedisOptions {
  return { ...givenOptions(source), ...OURS };
}

function givenOptions(source: RedisSource): RedisOptions {
  // ioredis takes the scheme in lower case only, and would leave TLS out otherwise.
  if (typeof source === 'string')
    return new Redis(
      source.replace(/^rediss?:/i, (scheme) => scheme.toLowerCase()),
      { lazyConnect: true },
    ).options;
  return isRedisClient(source) ? (source as Redis).options : (source as RedisOptions);
}

/**
 * Opens the two connections of the buffer. Neither resends a command whose reply was lost, and neither queues commands
 * while disconnected: a call fails fast, and what it did is found out by asking. One that goes silent is replaced. With `access`,
 * what the user may do is asked as well.
 *
 * @throws BufferUnavailableError when Redis does not answer within `attachTimeout`, with the last error as its cause, or refuses: at once
 */
export async function openConnections(
  source: RedisSource,
  timeouts: ConnectionTimeouts,
  onError: (error: unknown) => void,
  access: AccessOptions | null = null,
): Promise<RedisConnections> {
  const base = failFast(redisOptionsOf(source));
  const where = addressOf(base);
  const writer = new Redis({ ...base, commandTimeout: timeouts.redisTimeout });
  const worker = new Redis({ ...base, commandTimeout: WORKER_TIMEOUT });
  const attempt = new ConnectionAttempt([writer, worker], where);
  for (const redis of [writer, worker]) {
    redis.on('error', onError);
    defineScripts(redis);
  }
  const abort = new AbortController();
  try {
    // A server may accept connections and answer nothing; the writer's time limit is too short to ask it here.
    const answering = Promise.all([writer, worker].map(connected)).then(() =>
      answers(worker, abort.signal, async () => access && assertAccess(worker, access, where)),
    );
    await answered(Promise.race([answering, attempt.refused]), timeouts.attachTimeout, attempt);
  } catch (error) {
    cut(writer);
    cut(worker);
    throw error;
  } finally {
    abort.abort();
    attempt.end();
  }
  guard(writer);
  guard(worker);
  return { writer, worker };
}

function failFast(options: RedisOptions): RedisOptions {
  return {
    ...options,
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
}

/** Looks after a connection until it ends. */
function guard(redis: Redis): void {
  const ping = (): void => void redis.ping().catch(() => undefined);
  redis.once('end', keepAlive({ socket: () => streamOf(redis), isWaiting: () => isWaiting(redis), ping }));
}

/** Ends a connection at once, in any state: a farewell could wait for a server that does not answer. */
function cut(redis: Redis): void {
  redis.disconnect();
  streamOf(redis)?.destroy();
}

/** Absent before the first attempt. */
function streamOf(redis: Redis): Redis['stream'] | undefined {
  return redis.stream;
}

/** Resolves at the first successful connection, however many attempts it takes. */
async function connected(redis: Redis): Promise<void> {
  const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  redis.connect().catch(() => undefined);
  await ready;
}

/** Milliseconds between two questions whether Redis is ready. */
const PING_INTERVAL = 50;

/**
 * A server that is loading its data refuses every command, and a connection may break again before it is used.
 *
 * @throws what `ask` throws, and what Redis refuses with
 */
async function answers(redis: Redis, signal: AbortSignal, ask: () => Promise<unknown>): Promise<void> {
  // Not the client's status: after a disconnect it may stay 'ready' for ever.
  while (!signal.aborted) {
    try {
      await redis.ping().catch(tolerateForbidden);
      await ask();
      return;
    } catch (error) {
      if (isAnswer(error)) throw error;
      await delay(PING_INTERVAL);
    }
  }
}

/** A user that may not even run PING learns everything that is missing from the next question. */
function tolerateForbidden(error: unknown): void {
  if (!(error instanceof ReplyError) || !(error as Error).message.startsWith('NOPERM')) throw error;
}

function isAnswer(error: unknown): boolean {
  if (error instanceof BufferUnavailableError) return true;
  return error instanceof ReplyError && !(error as Error).message.startsWith('LOADING');
}

/** @throws BufferUnavailableError that names the server */
async function answered(work: Promise<unknown>, milliseconds: number, attempt: ConnectionAttempt): Promise<void> {
  const inTime = await withTimeout(
    work.then(() => true),
    milliseconds,
    false,
  ).catch((cause: unknown) => {
    throw attempt.refusal(cause);
  });
  if (!inTime) throw attempt.timedOut(milliseconds);
}

/** Whether the user may run INFO: managed services forbid it, and so do rules without dangerous commands. */
export async function mayInfo(redis: Redis): Promise<boolean> {
  return redis.info('server').then(
    () => true,
    (error: unknown) => !(error instanceof ReplyError),
  );
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
      if (redis.status !== 'ready') cut(redis);
      else await quit(redis);
    }),
  );
}

async function quit(redis: Redis): Promise<void> {
  const farewell = redis.quit().then(
    () => true,
    () => false,
  );
  if (!(await withTimeout(farewell, QUIT_TIMEOUT, false))) cut(redis);
}
