import { type Job, type RedisOptions, UnrecoverableError, Worker } from 'bullmq';

import type { AlarmHandler, RunningScheduler } from '../scheduler';
import type { AlarmData } from './alarm-producer';
import { consumerConnection } from './connections';
import { within } from '../../time-limit';

/** How to take jobs, and whom to tell of what goes wrong. */
export interface AlarmConsumerOptions {
  readonly connection: RedisOptions;
  readonly queueName: string;
  readonly queuePrefix?: string;
  readonly concurrency: number;
  /** Told the errors of connections. */
  readonly onError: (error: unknown) => void;
  /** Told why a handler failed. */
  readonly onFailed: (error: unknown) => void;
  /** Whether Redis answers now. */
  readonly reachable: () => Promise<boolean>;
}

/** How long the farewell to a Redis that answered a moment ago may take, ms. */
const CLOSING_TIMEOUT = 5_000;

/** Takes alarms from the queue and hands them to a handler. */
export class AlarmConsumer implements RunningScheduler {
  readonly #worker: Worker<AlarmData, void>;
  readonly #reachable: () => Promise<boolean>;
  readonly #active = new Set<Promise<void>>();
  readonly #forced: Promise<void>;
  #abandon: () => void = () => undefined;
  #connected = false;
  #closing: Promise<void> | null = null;
  #abandoning: Promise<void> | null = null;

  constructor(
    handler: AlarmHandler,
    { connection, queueName, queuePrefix, concurrency, onError, onFailed, reachable }: AlarmConsumerOptions,
  ) {
    this.#reachable = reachable;
    this.#forced = new Promise((resolve) => (this.#abandon = resolve));
    this.#worker = new Worker<AlarmData, void>(queueName, (job) => this.#run(handler, job), {
      connection: consumerConnection(connection),
      // Not `skipVersionCheck`: BullMQ takes Redis for an old one then, which can wait for whole seconds only.
      concurrency,
      lockDuration: 30_000,
      stalledInterval: 15_000,
      // A job that stalls again and again is no worse than a lost one; giving it up early helps nobody.
      maxStalledCount: 10,
      ...(queuePrefix === undefined ? {} : { prefix: queuePrefix }),
    });
    this.#worker.on('error', onError);
    this.#worker.on('failed', (_job, error) => onFailed(error));
    this.#worker.waitUntilReady().then(
      () => (this.#connected = true),
      () => undefined,
    );
  }

  /**
   * Takes no more alarms, and waits for those that are handled; with `force` it does not wait for them. Must not be awaited by
   * a handler, which would wait for itself.
   */
  close(force = false): Promise<void> {
    if (force) return (this.#abandoning ??= this.#closeNow());
    return (this.#closing ??= Promise.race([this.#closeWhenIdle(), this.#forced]));
  }

  async #run(handler: AlarmHandler, { name, data }: Job<AlarmData, void>): Promise<void> {
    if (name !== 'reconcile' && name !== 'recalculate')
      throw new UnrecoverableError(`unknown alarm '${name}': was it added by a newer release?`);
    const work = handler({ kind: name, shard: data.shard, at: data.at });
    const settled: Promise<void> = work.catch(() => undefined).finally(() => this.#active.delete(settled));
    this.#active.add(settled);
    return work;
  }

  async #closeWhenIdle(): Promise<void> {
    await this.#worker.pause(true);
    // Not by Worker.close(): it cannot be cut short once it waits, neither for a job nor for Redis.
    while (this.#active.size > 0) await Promise.all(this.#active);
    if (this.#abandoning !== null) return;
    const healthy = this.#connected && (await this.#reachable());
    if (this.#abandoning === null) await this.#closeWorker(healthy);
  }

  async #closeNow(): Promise<void> {
    this.#abandon();
    await this.#closeWorker(false);
  }

  /** `graceful` tells Redis about finished jobs first; otherwise the connections are cut. */
  async #closeWorker(graceful: boolean): Promise<void> {
    const closed = this.#worker.close(!graceful).then(() => true);
    if (!(await within(closed, CLOSING_TIMEOUT, false))) void this.#worker.disconnect().catch(() => undefined);
  }
}
