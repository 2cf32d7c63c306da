import { type JobsOptions, Queue, type RedisOptions } from 'bullmq';

import type { WakeUp } from '../../model/pending';
import { BufferUnavailableError } from '../../errors';
import { COMMAND_TIMEOUT, producerConnection } from './connections';
import { guardConnections } from './guard';
import { withTimeout } from '../../time-limit';

/** What users may say about our jobs; uniqueness and timing are ours. */
export type WakeUpJobOptions = Omit<
  JobsOptions,
  'jobId' | 'deduplication' | 'delay' | 'repeat' | 'parent' | 'debounce'
>;

/** What a job carries. */
export interface WakeUpData {
  readonly shard: number;
  /** When the wake-up is due: milliseconds since the epoch, by the buffer's clock. */
  readonly at: number;
}

/** How to add jobs, and what receives errors of the background. */
export interface WakeUpProducerOptions {
  readonly connection: RedisOptions;
  readonly queueName: string;
  readonly queuePrefix?: string;
  readonly jobOptions?: WakeUpJobOptions;
  /** Receives the errors of the connection. */
  readonly onError: (error: unknown) => void;
  /** Whether the user of the connection may run INFO. */
  readonly mayInfo: boolean;
}

const JOB_OPTIONS = {
  removeOnComplete: true,
  removeOnFail: { count: 100 },
  attempts: 5,
  backoff: { type: 'exponential', delay: 1_000 },
} as const satisfies WakeUpJobOptions;

/** How long a sign of life from Redis, and a farewell to it, may take while closing, ms. */
const CLOSING_TIMEOUT = 1_000;

/** The identity of a wake-up, on every process. */
export function wakeUpId({ kind, shard, at }: WakeUp): string {
  return `${kind}-${shard}-${at}`;
}

/** Adds wake-ups to the queue. Waits for the first attempt to connect only: while Redis is down it rejects at once. */
export class WakeUpProducer {
  readonly #queue: Queue<WakeUpData, void>;
  readonly #jobOptions: WakeUpJobOptions;
  /** Ends with the first attempt to connect, however it went. */
  readonly #attempted: Promise<void>;
  readonly #unguard: () => void;
  #ready = false;

  constructor({ connection, queueName, queuePrefix, jobOptions, onError, mayInfo }: WakeUpProducerOptions) {
    this.#jobOptions = { ...JOB_OPTIONS, ...jobOptions };
    this.#queue = new Queue<WakeUpData, void>(queueName, {
      connection: producerConnection(connection, mayInfo),
      skipVersionCheck: true,
      ...(queuePrefix === undefined ? {} : { prefix: queuePrefix }),
    });
    this.#queue.on('error', onError);
    const ready = this.#queue.waitUntilReady().then(() => void (this.#ready = true));
    const failed = new Promise<void>((resolve) => this.#queue.once('error', () => resolve()));
    this.#attempted = Promise.race([ready, failed]).catch(() => undefined);
    this.#unguard = guardConnections(this.#queue);
  }

  /**
   * Adds one job that is due at `due` (monotonic, ms); nothing when its like is waiting, one more run when it is active.
   *
   * @throws BufferUnavailableError when Redis does not answer within 5 s, or refuses
   */
  async add(wakeUp: WakeUp, due: number): Promise<void> {
    await this.#assertConnected();
    const { kind, shard, at } = wakeUp;
    const options: JobsOptions = {
      ...this.#jobOptions,
      delay: Math.max(0, Math.ceil(due - performance.now())),
      // Not `jobId`: it is checked first, and an add would be lost while its like is active.
      deduplication: { id: wakeUpId(wakeUp), keepLastIfActive: true },
    };
    try {
      await this.#queue.add(kind, { shard, at }, options);
    } catch (cause) {
      throw new BufferUnavailableError(
        `cannot add job '${wakeUpId(wakeUp)}' to queue '${this.#queue.name}': ${String(cause)}`,
        { kind, shard, at },
        { cause },
      );
    }
  }

  /** Whether Redis answers now. */
  async reachable(): Promise<boolean> {
    if (!this.#ready) return false;
    const answer = this.#queue.isPaused().then(
      () => true,
      () => false,
    );
    return withTimeout(answer, CLOSING_TIMEOUT, false);
  }

  /** Closes the connection; cuts it when Redis does not answer within a second. */
  async close(): Promise<void> {
    this.#unguard();
    const closed = this.#queue.close().then(
      () => true,
      () => false,
    );
    // A connection that cannot say goodbye would reconnect for ever and keep the process alive.
    if (!(await withTimeout(closed, CLOSING_TIMEOUT, false))) void this.#queue.disconnect().catch(() => undefined);
  }

  /** BullMQ itself would wait without limit for a connection that was never made. */
  async #assertConnected(): Promise<void> {
    if (!this.#ready) await withTimeout(this.#attempted, COMMAND_TIMEOUT, undefined);
    if (!this.#ready)
      throw new BufferUnavailableError(
        `cannot add jobs to queue '${this.#queue.name}': Redis cannot be reached. The sweep finds what it was for`,
      );
  }
}
