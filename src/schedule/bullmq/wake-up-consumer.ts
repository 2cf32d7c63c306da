import { type Job, type RedisOptions, UnrecoverableError, Worker } from 'bullmq';

import type { WakeUpHandler, RunningScheduler } from '../scheduler';
import type { WakeUpData } from './wake-up-producer';
import { isRefusal } from './connection-errors';
import { consumerConnection } from './connections';
import { guardConnections } from './guard';
import { withTimeout } from '../../time-limit';

/** How to take jobs, and what receives the errors. */
export interface WakeUpConsumerOptions {
  readonly connection: RedisOptions;
  readonly queueName: string;
  readonly queuePrefix?: string;
  readonly concurrency: number;
  /** Receives the errors of connections. */
  readonly onError: (error: unknown) => void;
  /** Receives the reason why a handler failed. */
  readonly onFailed: (error: unknown) => void;
  /** Whether Redis answers now. */
  readonly reachable: () => Promise<boolean>;
  /** Whether the user of the connection may run INFO. Otherwise BullMQ takes Redis for an old one, which can wait for whole seconds only. */
  readonly mayInfo: boolean;
}

/** Pause after a command was refused, ms: BullMQ would send it again at once, thousands of times a second. */
const REFUSAL_PAUSE = 2_000;

/** How long the farewell to a Redis that answered a moment ago may take, ms. */
const CLOSING_TIMEOUT = 5_000;

/** BullMQ's ErrorCode.JobNotExist. */
const JOB_NOT_EXIST = -1;

/** Takes wake-ups from the queue and hands them to a handler. */
export class WakeUpConsumer implements RunningScheduler {
  readonly #handler: WakeUpHandler;
  readonly #options: WakeUpConsumerOptions;
  readonly #active = new Set<Promise<void>>();
  readonly #forced: Promise<void>;
  #worker: Worker<WakeUpData, void>;
  #abandon: () => void = () => undefined;
  #unguard: () => void = () => undefined;
  #connected = false;
  #pause: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #abandoning: Promise<void> | null = null;

  constructor(handler: WakeUpHandler, options: WakeUpConsumerOptions) {
    this.#handler = handler;
    this.#options = options;
    this.#forced = new Promise((resolve) => (this.#abandon = resolve));
    this.#worker = this.#open(options.mayInfo);
  }

  /**
   * Takes no more wake-ups, and waits for those that are handled; with `force` it does not wait for them. Must not be awaited by
   * a handler, which would wait for itself.
   */
  close(force = false): Promise<void> {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
    this.#unguard();
    if (force) return (this.#abandoning ??= this.#closeNow());
    return (this.#closing ??= Promise.race([this.#closeWhenIdle(), this.#forced]));
  }

  #open(mayInfo: boolean): Worker<WakeUpData, void> {
    const { connection, queueName, queuePrefix, concurrency, onError, onFailed } = this.#options;
    const worker = new Worker<WakeUpData, void>(queueName, (job) => this.#run(job), {
      connection: consumerConnection(connection, mayInfo),
      skipVersionCheck: !mayInfo,
      concurrency,
      lockDuration: 30_000,
      stalledInterval: 15_000,
      // A job that stalls again and again is no worse than a lost one; giving it up early gains nothing.
      maxStalledCount: 10,
      ...(queuePrefix === undefined ? {} : { prefix: queuePrefix }),
    });
    worker.on('error', (error) => {
      if (!isOver(error)) onError(error);
      if (isRefusal(error)) this.#rest(worker);
    });
    worker.on('failed', (_job, error) => onFailed(error));
    worker.waitUntilReady().then(
      () => (this.#connected = true),
      () => this.#replace(worker),
    );
    this.#unguard();
    this.#unguard = guardConnections(worker);
    return worker;
  }

  /** Fetches nothing for a while. */
  #rest(worker: Worker): void {
    if (this.#pause !== null || !this.#isCurrent(worker)) return;
    void worker.pause(true);
    this.#pause = setTimeout(() => this.#resume(worker), REFUSAL_PAUSE);
  }

  #resume(worker: Worker): void {
    this.#pause = null;
    if (!this.#isCurrent(worker)) return;
    // What is active goes on meanwhile, and the worker's loop with it; a second one must not be started beside it.
    if (worker.isRunning()) this.#pause = setTimeout(() => this.#resume(worker), REFUSAL_PAUSE);
    else void worker.resume();
  }

  /** A worker that failed to start never recovers, and asks for jobs in a loop that lets nothing else run: INFO may be forbidden by now. */
  #replace(worker: Worker): void {
    if (!this.#isCurrent(worker)) return;
    void worker.close(true).catch(() => undefined);
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = null;
      if (this.#isCurrent(worker)) this.#worker = this.#open(false);
    }, REFUSAL_PAUSE);
  }

  #isCurrent(worker: Worker): boolean {
    return this.#closing === null && this.#abandoning === null && this.#worker === worker;
  }

  async #run({ name, data }: Job<WakeUpData, void>): Promise<void> {
    if (name !== 'reconcile' && name !== 'recalculate')
      throw new UnrecoverableError(`unknown wake-up '${name}': was it added by a newer release?`);
    const work = this.#handler({ kind: name, shard: data.shard, at: data.at });
    const settled: Promise<void> = work.catch(() => undefined).finally(() => this.#active.delete(settled));
    this.#active.add(settled);
    return work;
  }

  async #closeWhenIdle(): Promise<void> {
    await this.#worker.pause(true);
    // Not by Worker.close(): it cannot be cut short once it waits, neither for a job nor for Redis.
    while (this.#active.size > 0) await Promise.all(this.#active);
    if (this.#abandoning !== null) return;
    const healthy = this.#connected && (await this.#options.reachable());
    if (this.#abandoning === null) await this.#closeWorker(healthy);
  }

  async #closeNow(): Promise<void> {
    this.#abandon();
    await this.#closeWorker(false);
  }

  /** `graceful` reports finished jobs to Redis first; otherwise the connections are cut. */
  async #closeWorker(graceful: boolean): Promise<void> {
    const closed = this.#worker.close(!graceful).then(() => true);
    if (!(await withTimeout(closed, CLOSING_TIMEOUT, false))) void this.#worker.disconnect().catch(() => undefined);
  }
}

/**
 * The job to be finished is gone: its wake-up was handled. It is finished twice when the answer got lost with the connection,
 * after which the command is sent again.
 */
function isOver(error: unknown): boolean {
  return (error as { code?: unknown }).code === JOB_NOT_EXIST;
}
