import { checkArgument, checkKeys } from '../check-arguments';
import type { JobContext } from '../engines/context';
import { recalculateDue } from '../recount/recalculate';
import { drain, drainDue } from '../engines/outbox/drain';
import { HandOvers } from '../schedule/hand-overs';
import { ownWakeUp } from '../model/own-wake-up';
import { reconcile } from '../engines/buffered/reconcile';
import type { RunningScheduler, Scheduler } from '../schedule/scheduler';
import { sweep } from './sweep';
import { withTimeout } from '../time-limit';
import { Outage } from '../outage';

/** Options of a worker. */
export interface WorkerOptions {
  /**
   * Wake-ups handled at the same time.
   *
   * @defaultValue 4
   */
  readonly concurrency?: number;
}

/** The longest that `close()` waits for work under way, ms. */
const CLOSE_LIMIT = 15_000;

/** Pause before a scheduler that did not start is tried again, ms. */
const LISTEN_RETRY = 2_000;

/** Applies deltas in this process: handles the scheduler's wake-ups, and sweeps on a timer of its own (I4). */
export class CounterWorker {
  readonly #concurrency: number;
  #context: JobContext;
  #handOvers = new HandOvers();
  /** Of the work with the present context. */
  #stay = { isOver: false };
  #running: RunningScheduler | null = null;
  #repeated: readonly Repeated[] = [];
  #moved: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(context: JobContext, concurrency: number) {
    this.#context = this.#own(context);
    this.#concurrency = concurrency;
  }

  /**
   * Starts consuming wake-ups, and the first sweep.
   *
   * @throws ConfigurationError for wrong options
   */
  static async start(context: JobContext, scheduler: Scheduler, options: WorkerOptions): Promise<CounterWorker> {
    const concurrency = checkConcurrency(options);
    const worker = new CounterWorker(context, concurrency);
    await worker.#listen(scheduler);
    worker.#sweep();
    return worker;
  }

  /**
   * Goes on with another installation: the database has another one by now. Moves come one after the other. Sweeps at once;
   * a scheduler that does not start is tried again.
   */
  move(context: JobContext, scheduler: Scheduler): Promise<void> {
    return (this.#moved = this.#moved.then(() => this.#move(context, scheduler)));
  }

  async #move(context: JobContext, scheduler: Scheduler): Promise<void> {
    await this.#stop();
    if (this.#closing !== null) return;
    this.#running = null;
    this.#context = this.#own(context);
    this.#sweep();
    await this.#listenAgain(scheduler, true);
  }

  async #listenAgain(scheduler: Scheduler, isFirst: boolean): Promise<void> {
    const stay = this.#stay;
    try {
      await this.#listen(scheduler);
    } catch (error) {
      if (isFirst) this.#context.events.emit('error', error);
      const again = (): unknown => (stay.isOver ? undefined : this.#listenAgain(scheduler, false));
      setTimeout(again, LISTEN_RETRY).unref();
    }
  }

  #own(context: JobContext): JobContext {
    const handOvers = new HandOvers();
    this.#handOvers = handOvers;
    const handOver: JobContext['handOver'] = (shard, overdue) => handOvers.wakeUp(shard, overdue);
    const stay = { isOver: false };
    this.#stay = stay;
    return { ...context, handOver, isStopping: () => stay.isOver };
  }

  async #listen(scheduler: Scheduler): Promise<void> {
    const stay = this.#stay;
    const options = { concurrency: this.#concurrency };
    const running = await scheduler.start(({ kind, shard, at }) => this.#handle(kind, shard, at), options);
    // Closed, or moved on, meanwhile.
    if (stay.isOver) await running.close();
    else this.#running = running;
  }

  /** Stops taking wake-ups, and finishes what is claimed, for 15 s at most; other workers go on at once. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#stay.isOver = true;
    this.#handOvers.stop();
    const stopped = this.#repeated.map((one) => one.stop());
    const finished = Promise.all([this.#running?.close(), ...stopped]).then(() => true);
    // A database or a Redis that answers no more must not keep the process: what is claimed is taken over by others.
    if (!(await withTimeout(finished, CLOSE_LIMIT, false))) await this.#running?.close(true);
  }

  async #handle(kind: 'reconcile' | 'recalculate', shard: number, at: number): Promise<void> {
    if (kind === 'reconcile') await this.#reconcile(shard, at);
    else await recalculateDue(this.#context, shard);
    await this.#handOvers.rested();
    // What was left is for another worker, now rather than at its next sweep.
    const { schedule, options } = this.#context;
    if (this.#closing !== null) await schedule([ownWakeUp(kind, shard, 0, options.window)]);
  }

  async #reconcile(shard: number, at: number): Promise<void> {
    const scope = { select: 'due' } as const;
    try {
      // One after the other: they would pass over each other's rows.
      await drain(this.#context, scope, shard);
    } finally {
      await reconcile(this.#context, shard, scope, { expected: at });
    }
  }

  /** The outbox needs no Redis: one that does not answer must not keep it waiting. */
  #sweep(): void {
    const { sweepInterval } = this.#context.options;
    const onError = (error: unknown): void => this.#context.events.emit('error', error);
    this.#repeated = [() => drainDue(this.#context), () => sweep(this.#context)].map(
      (work) => new Repeated(work, sweepInterval, onError),
    );
  }
}

/** @throws ConfigurationError, before anything is opened */
function checkConcurrency(options: WorkerOptions): number {
  checkKeys(options, ['concurrency'], 'startWorker');
  const { concurrency = 4 } = options;
  const isFit = Number.isSafeInteger(concurrency) && concurrency > 0;
  checkArgument(isFit, 'startWorker', 'concurrency to be a positive integer', concurrency);
  return concurrency;
}

/** Work that is done again and again, from the start on, until it is stopped; its runs never overlap. What it fails with is reported once until it succeeds. */
class Repeated {
  readonly #work: () => Promise<unknown>;
  readonly #interval: number;
  readonly #outage: Outage;
  #timer: NodeJS.Timeout | null = null;
  #run: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** The next run starts `interval` ms after the last one ended. */
  constructor(work: () => Promise<unknown>, interval: number, onError: (error: unknown) => void) {
    this.#work = work;
    this.#interval = interval;
    this.#outage = new Outage(onError);
    this.#start();
  }

  /** Resolves when the run under way, if any, is over. */
  stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    return this.#run;
  }

  #start(): void {
    this.#run = this.#work()
      .then(
        () => this.#outage.succeeded(),
        (error: unknown) => this.#outage.failed(error),
      )
      .finally(() => {
        if (!this.#isStopped) this.#timer = setTimeout(() => this.#start(), this.#interval);
      });
  }
}
