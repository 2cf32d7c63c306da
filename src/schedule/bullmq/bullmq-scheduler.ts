import type { RedisOptions } from 'bullmq';

import type { WakeUp } from '../../model/pending';
import { CounterCacheError } from '../../errors';
import type { WakeUpHandler, RunningScheduler, Scheduler } from '../scheduler';
import { WakeUpConsumer } from './wake-up-consumer';
import { WakeUpMemory } from './wake-up-memory';
import { wakeUpId, type WakeUpJobOptions, WakeUpProducer } from './wake-up-producer';
import { ConnectionErrors } from './connection-errors';
import { assertUsable } from './connections';

/** Options of a {@link BullMqScheduler}. */
export interface BullMqSchedulerOptions {
  /** How to reach Redis. Each connection gets the retry settings that its use needs; those given here are overridden. */
  readonly connection: RedisOptions;
  /** Must not contain ':'. */
  readonly queueName: string;
  /** Prefix of BullMQ's keys. @defaultValue BullMQ's own, 'bull' */
  readonly queuePrefix?: string;
  /** @defaultValue 5 attempts with exponential backoff; completed jobs are removed, the last 100 failed ones kept */
  readonly jobOptions?: WakeUpJobOptions;
  /**
   * Whether the user of the connection may run INFO; without it wake-ups fire up to a second later.
   *
   * @defaultValue true
   */
  readonly mayInfo?: boolean;
  /** Receives every error of a job or a handler, and what keeps connections from working once per outage; must not throw. */
  readonly onError: (error: unknown) => void;
}

/**
 * Fires wake-ups as BullMQ jobs, one per (kind, shard, time), in whichever process has a worker.
 *
 * @example
 * const scheduler = new BullMqScheduler({ connection: { port: 6379 }, queueName: 'counters', onError: console.error });
 *
 * @throws ConfigurationError when the queue name or the connection cannot work
 */
export class BullMqScheduler implements Scheduler {
  readonly #options: BullMqSchedulerOptions & { readonly mayInfo: boolean };
  readonly #errors: ConnectionErrors;
  readonly #producer: WakeUpProducer;
  readonly #memory = new WakeUpMemory();
  readonly #consumers = new Set<WakeUpConsumer>();
  #closing: Promise<void> | null = null;

  constructor(options: BullMqSchedulerOptions) {
    assertUsable(options.connection, options.queueName);
    this.#options = { mayInfo: true, ...options };
    this.#errors = new ConnectionErrors(options.onError);
    this.#producer = new WakeUpProducer({ ...this.#options, onError: (error) => this.#errors.report(error) });
  }

  /**
   * Adds a job per wake-up, but for those that this process has added before. All are tried.
   *
   * @throws BufferUnavailableError when Redis did not take one of them; CounterCacheError `CLOSED`
   */
  async schedule(wakeUps: readonly WakeUp[]): Promise<void> {
    this.#assertOpen();
    const outcomes = await Promise.allSettled(wakeUps.map((wakeUp) => this.#schedule(wakeUp)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * Starts a BullMQ worker. Does not wait for Redis: while it is down, the worker waits for it.
   *
   * @throws CounterCacheError `CLOSED`
   */
  async start(handler: WakeUpHandler, { concurrency }: { readonly concurrency: number }): Promise<RunningScheduler> {
    this.#assertOpen();
    const { connection, queueName, queuePrefix, mayInfo, onError } = this.#options;
    const consumer = new WakeUpConsumer(handler, {
      connection,
      queueName,
      ...(queuePrefix === undefined ? {} : { queuePrefix }),
      concurrency,
      onError: (error) => this.#errors.report(error),
      onFailed: onError,
      reachable: () => this.#producer.reachable(),
      mayInfo,
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  /** Closes the workers that were started here, waiting for their active jobs, then the queue. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await this.#producer.close();
  }

  #schedule(wakeUp: WakeUp): Promise<void> {
    const due = performance.now() + wakeUp.delay;
    return this.#memory.once(wakeUpId(wakeUp), wakeUp.delay, () => this.#producer.add(wakeUp, due));
  }

  #assertOpen(): void {
    if (this.#closing !== null)
      throw new CounterCacheError('CLOSED', 'the BullMQ scheduler is closed: schedule and start before close()');
  }
}
