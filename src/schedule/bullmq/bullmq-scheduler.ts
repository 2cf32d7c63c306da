import type { RedisOptions } from 'bullmq';

import type { Alarm } from '../../model/pending';
import { CounterCacheError } from '../../errors';
import type { AlarmHandler, RunningScheduler, Scheduler } from '../scheduler';
import { AlarmConsumer } from './alarm-consumer';
import { AlarmMemory } from './alarm-memory';
import { alarmId, type AlarmJobOptions, AlarmProducer } from './alarm-producer';
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
  readonly jobOptions?: AlarmJobOptions;
  /**
   * Whether the user of the connection may run INFO; without it alarms ring up to a second later.
   *
   * @defaultValue true
   */
  readonly mayInfo?: boolean;
  /** Told every error of a job or a handler, and what keeps connections from working once per outage; must not throw. */
  readonly onError: (error: unknown) => void;
}

/**
 * Rings alarms as BullMQ jobs, one per (kind, shard, time), in whichever process has a worker.
 *
 * @example
 * const scheduler = new BullMqScheduler({ connection: { port: 6379 }, queueName: 'counters', onError: console.error });
 *
 * @throws ConfigurationError when the queue name or the connection cannot work
 */
export class BullMqScheduler implements Scheduler {
  readonly #options: BullMqSchedulerOptions & { readonly mayInfo: boolean };
  readonly #errors: ConnectionErrors;
  readonly #producer: AlarmProducer;
  readonly #memory = new AlarmMemory();
  readonly #consumers = new Set<AlarmConsumer>();
  #closing: Promise<void> | null = null;

  constructor(options: BullMqSchedulerOptions) {
    assertUsable(options.connection, options.queueName);
    this.#options = { mayInfo: true, ...options };
    this.#errors = new ConnectionErrors(options.onError);
    this.#producer = new AlarmProducer({ ...this.#options, onError: (error) => this.#errors.tell(error) });
  }

  /**
   * Adds a job per alarm, but for those that this process has added before. All are tried.
   *
   * @throws BufferUnavailableError when Redis did not take one of them; CounterCacheError `CLOSED`
   */
  async schedule(alarms: readonly Alarm[]): Promise<void> {
    this.#assertOpen();
    const outcomes = await Promise.allSettled(alarms.map((alarm) => this.#schedule(alarm)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * Starts a BullMQ worker. Does not wait for Redis: while it is down, the worker waits for it.
   *
   * @throws CounterCacheError `CLOSED`
   */
  async start(handler: AlarmHandler, { concurrency }: { readonly concurrency: number }): Promise<RunningScheduler> {
    this.#assertOpen();
    const { connection, queueName, queuePrefix, mayInfo, onError } = this.#options;
    const consumer = new AlarmConsumer(handler, {
      connection,
      queueName,
      ...(queuePrefix === undefined ? {} : { queuePrefix }),
      concurrency,
      onError: (error) => this.#errors.tell(error),
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

  #schedule(alarm: Alarm): Promise<void> {
    const due = performance.now() + alarm.delay;
    return this.#memory.once(alarmId(alarm), alarm.delay, () => this.#producer.add(alarm, due));
  }

  #assertOpen(): void {
    if (this.#closing !== null)
      throw new CounterCacheError('CLOSED', 'the BullMQ scheduler is closed: schedule and start before close()');
  }
}
