import { inspect } from 'node:util';

import type { Redis, RedisOptions } from 'ioredis';

import type { DeltaBuffer } from './engines/buffered/buffer';
import { checkRedis } from './check-redis';
import { describe, quote } from './describe';
import { MODES, type Mode, isMode } from './model/mode';
import { ConfigurationError } from './errors';
import type { WakeUpJobOptions } from './schedule/bullmq/wake-up-producer';
import type { Scheduler } from './schedule/scheduler';
import { didYouMean } from './suggest';

/** Where errors go that no `error` listener receives. */
export interface Logger {
  error(message: string, context?: object): void;
}

/** Options of the BullMQ queue. */
export interface QueueOptions {
  /**
   * BullMQ's key prefix.
   *
   * @defaultValue BullMQ's own
   */
  prefix?: string | undefined;
  /**
   * Options of every job, e.g. `attempts`, `backoff`, `removeOnFail`.
   *
   * @defaultValue none
   */
  jobOptions?: WakeUpJobOptions | undefined;
}

/** Options of `Counters.attach()`. All times in ms. */
export interface CountersOptions {
  /**
   * An ioredis client, its options, or a URL. A client is duplicated, never closed.
   *
   * @defaultValue required, unless both `buffer` and `scheduler` are given
   */
  redis?: Redis | RedisOptions | string | undefined;
  /** First part of every key and queue name. @defaultValue 'cc' */
  prefix?: string | undefined;
  /** Slices of the buffer; the same for every process. A `buffer` of your own has its own. @defaultValue 16 */
  shards?: number | undefined;
  /** How long a delta may wait. @defaultValue 10_000 */
  wait?: number | undefined;
  /** Until a full recalculation, from the first write not yet covered. @defaultValue 21_600_000 (6 h) */
  recalculationDelay?: number | undefined;
  /**
   * How deltas get from the caller's transaction to where they wait; a counter may say otherwise. `buffered`: announced in
   * Redis before COMMIT, or, when Redis does not answer, written to the outbox. `outbox`: written to an SQL table in the
   * same transaction.
   *
   * @defaultValue 'buffered'
   */
  mode?: Mode | undefined;
  /** What is due is applied at the next multiple of it. A `buffer` of your own has its own. @defaultValue 1_000 */
  window?: number | undefined;
  /** How often a worker looks for what no job announced, and a process says by which definitions it counts. @defaultValue 30_000 */
  sweepInterval?: number | undefined;
  /** Targets claimed at a time, and so per UPDATE. @defaultValue 1_000 */
  batchSize?: number | undefined;
  /**
   * Redis has every write on disk before it answers (`appendfsync always`): a restart with its data loses nothing.
   * Otherwise a restart or failover counts as a loss, after which every target is recounted.
   *
   * @defaultValue false
   */
  durableRedis?: boolean | undefined;
  /** The longest a write waits for Redis. @defaultValue 50 */
  redisTimeout?: number | undefined;
  /** The longest `attach` waits for Redis. @defaultValue 5_000 */
  attachTimeout?: number | undefined;
  /** Until an intent that was never confirmed is swept. @defaultValue 60_000 */
  intentTimeout?: number | undefined;
  /** Until a batch that was never acknowledged is taken over. @defaultValue 60_000 */
  claimTimeout?: number | undefined;
  /** How long applied batches are remembered. @defaultValue 604_800_000 (7 days) */
  ledgerRetention?: number | undefined;
  /** How long applied rows of the outbox are kept, for `counters.log()`. @defaultValue 0 */
  outboxRetention?: number | undefined;
  /** Targets kept in memory for recalculation while neither Redis nor the outbox takes their deltas. @defaultValue 100_000 */
  maxPendingRepairs?: number | undefined;
  /** A buffer of your own. @defaultValue Redis */
  buffer?: DeltaBuffer | undefined;
  /** A scheduler of your own. @defaultValue BullMQ */
  scheduler?: Scheduler | undefined;
  /** @defaultValue BullMQ's defaults */
  queue?: QueueOptions | undefined;
  /** @defaultValue Node's process warnings */
  logger?: Logger | undefined;
}

type Numbers =
  | 'shards'
  | 'wait'
  | 'recalculationDelay'
  | 'window'
  | 'sweepInterval'
  | 'batchSize'
  | 'redisTimeout'
  | 'attachTimeout'
  | 'intentTimeout'
  | 'claimTimeout'
  | 'ledgerRetention'
  | 'outboxRetention'
  | 'maxPendingRepairs';

/** Options with every default filled in, frozen. */
export interface ResolvedCountersOptions extends Readonly<Record<Numbers, number>> {
  /** `null` when both `buffer` and `scheduler` are given. */
  readonly redis: Redis | RedisOptions | string | null;
  readonly prefix: string;
  readonly mode: Mode;
  readonly durableRedis: boolean;
  readonly buffer: DeltaBuffer | null;
  readonly scheduler: Scheduler | null;
  readonly queue: Readonly<QueueOptions>;
  readonly logger: Logger;
}

const LOGGER: Logger = {
  error: (message, context) => process.emitWarning(message, { type: 'CounterCacheError', detail: inspect(context) }),
};

const HOUR = 3_600_000;

const DEFAULTS = {
  redis: null,
  prefix: 'cc',
  shards: 16,
  wait: 10_000,
  recalculationDelay: 6 * HOUR,
  mode: 'buffered',
  durableRedis: false,
  window: 1_000,
  sweepInterval: 30_000,
  batchSize: 1_000,
  redisTimeout: 50,
  attachTimeout: 5_000,
  intentTimeout: 60_000,
  claimTimeout: 60_000,
  ledgerRetention: 7 * 24 * HOUR,
  outboxRetention: 0,
  maxPendingRepairs: 100_000,
  buffer: null,
  scheduler: null,
  queue: {},
  logger: LOGGER,
} satisfies ResolvedCountersOptions;

/** Beyond it, Node's timers fire at once. */
const MAX_TIMER = 2 ** 31 - 1;

const RANGES = {
  shards: { min: 1, max: 1_024 },
  wait: { min: 0, max: Number.MAX_SAFE_INTEGER },
  recalculationDelay: { min: 1, max: Number.MAX_SAFE_INTEGER },
  window: { min: 1, max: MAX_TIMER },
  sweepInterval: { min: 1, max: MAX_TIMER },
  batchSize: { min: 1, max: 100_000 },
  redisTimeout: { min: 1, max: MAX_TIMER },
  attachTimeout: { min: 1, max: MAX_TIMER },
  intentTimeout: { min: 1, max: MAX_TIMER },
  claimTimeout: { min: 1, max: MAX_TIMER },
  ledgerRetention: { min: 1, max: Number.MAX_SAFE_INTEGER },
  outboxRetention: { min: 0, max: Number.MAX_SAFE_INTEGER },
  maxPendingRepairs: { min: 0, max: Number.MAX_SAFE_INTEGER },
} satisfies Record<Numbers, { readonly min: number; readonly max: number }>;

const QUEUE_OPTIONS: readonly string[] = ['prefix', 'jobOptions'];

/** Jobs are unique and timed by the library. */
const OWN_JOB_OPTIONS = ['jobId', 'deduplication', 'debounce', 'delay', 'repeat', 'parent'];

/** A record, so that the compiler misses one that is not listed. */
const BUFFER_METHODS = {
  incarnation: true,
  epoch: true,
  raiseEpoch: true,
  clear: true,
  announce: true,
  confirm: true,
  discard: true,
  add: true,
  claim: true,
  acknowledge: true,
  takeOver: true,
  staleIntents: true,
  sweepIntents: true,
  requestRepair: true,
  dueRecalculations: true,
  acquireLease: true,
  finalize: true,
  renewLease: true,
  releaseLease: true,
  postpone: true,
  read: true,
  status: true,
  retryFailed: true,
} satisfies Record<Exclude<keyof DeltaBuffer, 'shards'>, true>;

const SCHEDULER_METHODS = { schedule: true, start: true, close: true } satisfies Record<keyof Scheduler, true>;

/**
 * Checks options and fills in defaults.
 *
 * @throws ConfigurationError that lists every mistake.
 */
export function resolveOptions(options: CountersOptions): ResolvedCountersOptions {
  const problems: string[] = [];
  const given: unknown = options;
  if (!isObject(given))
    throw new ConfigurationError([`expected options to be an object, got: ${describe(given)}. Pass { redis }`]);
  const present = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && value !== null),
  );
  const known = Object.keys(DEFAULTS);
  reportUnknown(Object.keys(given), known, '', problems);
  for (const [name, range] of Object.entries(RANGES)) checkNumber(name, present[name], range, problems);
  checkPrefix(present['prefix'], problems);
  checkMode(present['mode'], problems);
  checkBoolean('durableRedis', present['durableRedis'], problems);
  problems.push(...checkConnection(present));
  checkMethods('buffer', present['buffer'], Object.keys(BUFFER_METHODS), problems);
  checkMethods('scheduler', present['scheduler'], Object.keys(SCHEDULER_METHODS), problems);
  checkMethods('logger', present['logger'], ['error'], problems);
  checkQueue(present['queue'], problems);
  if (problems.length > 0) throw new ConfigurationError(problems);
  const resolved = { ...DEFAULTS, ...(present as Partial<ResolvedCountersOptions>) };
  const { buffer, queue, shards } = resolved;
  return Object.freeze({ ...resolved, shards: buffer?.shards ?? shards, queue: Object.freeze({ ...queue }) });
}

function reportUnknown(keys: readonly string[], known: readonly string[], prefix: string, problems: string[]): void {
  for (const key of keys) {
    if (!known.includes(key))
      problems.push(
        `unknown option ${quote(`${prefix}${key}`)}${didYouMean(key, known) || `, expected one of ${known.join(', ')}`}`,
      );
  }
}

function checkNumber(
  name: string,
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
  problems: string[],
): void {
  if (value === undefined || (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max)) return;
  problems.push(
    `expected '${name}' to be a whole number${max === Number.MAX_SAFE_INTEGER ? ` of at least ${min}` : ` from ${min} to ${max}`}, got: ${describe(value)}`,
  );
}

function checkPrefix(value: unknown, problems: string[]): void {
  if (value === undefined || (typeof value === 'string' && /^[^\s{}:]+$/.test(value))) return;
  problems.push(`expected 'prefix' to be a text without spaces, colons and braces, got: ${describe(value)}`);
}

function checkBoolean(name: string, value: unknown, problems: string[]): void {
  if (value === undefined || typeof value === 'boolean') return;
  problems.push(`expected '${name}' to be true or false, got: ${describe(value)}`);
}

function checkMode(value: unknown, problems: string[]): void {
  if (value === undefined || isMode(value)) return;
  problems.push(`expected 'mode' to be one of '${MODES.join("', '")}', got: ${describe(value)}`);
}

function checkConnection({ redis, buffer, scheduler }: Readonly<Record<string, unknown>>): readonly string[] {
  if (redis !== undefined) return checkRedis(redis);
  if (buffer !== undefined && scheduler !== undefined) return [];
  return [
    "expected 'redis' to be an ioredis client, options or a URL, got: undefined. Add it, or give both 'buffer' and 'scheduler'",
  ];
}

function checkMethods(name: string, value: unknown, methods: readonly string[], problems: string[]): void {
  if (value === undefined) return;
  const missing = methods.filter((method) => !isObject(value) || typeof value[method] !== 'function');
  if (missing.length > 0)
    problems.push(
      `expected '${name}' to have the methods ${methods.join(', ')}, got: ${describe(value)} without ${missing.join(', ')}`,
    );
}

function checkQueue(value: unknown, problems: string[]): void {
  if (value === undefined) return;
  if (!isObject(value)) {
    problems.push(`expected 'queue' to be { prefix, jobOptions }, got: ${describe(value)}`);
    return;
  }
  reportUnknown(Object.keys(value), QUEUE_OPTIONS, 'queue.', problems);
  const { prefix, jobOptions } = value;
  if (prefix !== undefined && (typeof prefix !== 'string' || prefix === ''))
    problems.push(`expected 'queue.prefix' to be a text, got: ${describe(prefix)}`);
  if (jobOptions !== undefined && !isObject(jobOptions))
    problems.push(`expected 'queue.jobOptions' to be an object, got: ${describe(jobOptions)}`);
  for (const name of OWN_JOB_OPTIONS.filter((own) => isObject(jobOptions) && jobOptions[own] !== undefined)) {
    problems.push(
      `expected 'queue.jobOptions' not to set '${name}': the library makes jobs unique and times them. Remove it`,
    );
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
