import type { JobContext } from './context';
import { recalculateDue } from './recalculate';
import { reconcile } from './reconcile';
import type { RunningScheduler, Scheduler } from './scheduler';
import { sweep } from './sweep';

/** Options of a worker. */
export interface WorkerOptions {
  /**
   * Alarms handled at the same time.
   *
   * @defaultValue 4
   */
  readonly concurrency?: number;
}

/** Applies deltas in this process: rings with the scheduler's alarms, and sweeps on a timer of its own (I4). */
export class CounterWorker {
  readonly #context: JobContext;
  #running: RunningScheduler | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sweep: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(context: JobContext) {
    this.#context = context;
  }

  /** Starts consuming alarms, and the first sweep. */
  static async start(
    context: JobContext,
    scheduler: Scheduler,
    { concurrency = 4 }: WorkerOptions,
  ): Promise<CounterWorker> {
    const worker = new CounterWorker(context);
    worker.#running = await scheduler.start(({ kind, shard, at }) => worker.#handle(kind, shard, at), { concurrency });
    worker.#startSweep();
    return worker;
  }

  /** Stops taking alarms, and finishes what is claimed. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all([this.#running?.close(), this.#sweep]);
  }

  async #handle(kind: 'reconcile' | 'recalculate', shard: number, at: number): Promise<void> {
    if (kind === 'reconcile') await reconcile(this.#context, shard, { select: 'due' }, at);
    else await recalculateDue(this.#context, shard);
  }

  /** The next sweep starts an interval after the last one ended, so sweeps of one worker never overlap. */
  #startSweep(): void {
    this.#sweep = sweep(this.#context, () => this.#closing !== null)
      .catch((error: unknown) => this.#context.events.emit('error', error))
      .finally(() => {
        if (this.#closing === null)
          this.#timer = setTimeout(() => this.#startSweep(), this.#context.options.sweepInterval);
      });
  }
}
