import type { WakeUp } from '../../model/pending';
import { CounterCacheError } from '../../errors';
import type { RunningScheduler, Scheduler, WakeUpHandler } from '../scheduler';

/** Options of an {@link InProcessScheduler}. */
export interface InProcessSchedulerOptions {
  /** Receives every error a handler throws. @defaultValue emits a process warning */
  readonly onError?: (error: unknown) => void;
  /** How often one wake-up is tried. @defaultValue 5 */
  readonly attempts?: number;
  /** Milliseconds until the second attempt; doubled for each further one. @defaultValue 1000 */
  readonly backoff?: number;
}

/** A delayed wake-up, one that waits for a free runner, or one that is being handled. */
interface Job {
  readonly id: string;
  readonly wakeUp: WakeUp;
  /** Milliseconds on the monotonic clock. */
  due: number;
  attempt: number;
  timer: NodeJS.Timeout | null;
  active: boolean;
  /** The same wake-up, added while this one was active: runs afterwards. */
  again: WakeUp | null;
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error), 'CounterCacheWarning');
}

/** Longest delay that a timer takes, ms. */
const MAX_TIMER = 2 ** 31 - 1;

/**
 * Fires wake-ups with timers of this process, which never keep it alive. Other processes learn nothing: for one process that
 * does without BullMQ.
 */
export class InProcessScheduler implements Scheduler {
  readonly #jobs = new Map<string, Job>();
  readonly #ready: Job[] = [];
  readonly #runners = new Set<InProcessRunner>();
  readonly #onError: (error: unknown) => void;
  readonly #attempts: number;
  readonly #backoff: number;
  #closed = false;

  constructor(options: InProcessSchedulerOptions = {}) {
    this.#onError = options.onError ?? warn;
    this.#attempts = options.attempts ?? 5;
    this.#backoff = options.backoff ?? 1000;
  }

  async schedule(wakeUps: readonly WakeUp[]): Promise<void> {
    this.#assertOpen();
    for (const wakeUp of wakeUps) this.#add(wakeUp);
  }

  async start(handler: WakeUpHandler, options: { readonly concurrency: number }): Promise<RunningScheduler> {
    this.#assertOpen();
    const runner = new InProcessRunner(handler, options.concurrency);
    this.#runners.add(runner);
    this.#dispatch();
    return runner;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#jobs.values()) if (timer !== null) clearTimeout(timer);
    this.#jobs.clear();
    this.#ready.length = 0;
    await Promise.all([...this.#runners].map((runner) => runner.close()));
  }

  #assertOpen(): void {
    if (this.#closed)
      throw new CounterCacheError('CLOSED', 'the in-process scheduler is closed: schedule and start before close()');
  }

  #add(wakeUp: WakeUp): void {
    const id = `${wakeUp.kind}-${wakeUp.shard}-${wakeUp.at}`;
    const standing = this.#jobs.get(id);
    if (standing === undefined) {
      const job: Job = { id, wakeUp, due: 0, attempt: 1, timer: null, active: false, again: null };
      this.#jobs.set(id, job);
      this.#delay(job, wakeUp.delay);
    } else if (standing.active) {
      // The work may have looked before this wake-up's target became due.
      standing.again = wakeUp;
    }
  }

  #delay(job: Job, delay: number): void {
    job.due = performance.now() + delay;
    this.#arm(job);
  }

  #arm(job: Job): void {
    const left = Math.max(0, Math.ceil(job.due - performance.now()));
    job.timer = setTimeout(() => this.#fire(job), Math.min(left, MAX_TIMER));
    job.timer.unref();
  }

  #fire(job: Job): void {
    job.timer = null;
    // Timers may fire a little early, and what is not due yet would wait for a sweep.
    if (job.due > performance.now()) return this.#arm(job);
    this.#ready.push(job);
    this.#dispatch();
  }

  #dispatch(): void {
    for (const runner of this.#runners) {
      while (runner.free) {
        const job = this.#ready.shift();
        if (job === undefined) return;
        job.active = true;
        void runner.run(this.#handle(job, runner.handler)).then(() => this.#dispatch());
      }
    }
  }

  async #handle(job: Job, handler: WakeUpHandler): Promise<void> {
    const { kind, shard, at } = job.wakeUp;
    try {
      await handler({ kind, shard, at });
      this.#finish(job);
    } catch (error) {
      this.#retry(job);
      this.#onError(error);
    }
  }

  #finish(job: Job): void {
    this.#jobs.delete(job.id);
    if (job.again !== null && !this.#closed) this.#add(job.again);
  }

  #retry(job: Job): void {
    if (job.attempt >= this.#attempts || this.#closed) return this.#finish(job);
    Object.assign(job, { active: false, again: null });
    this.#delay(job, this.#backoff * 2 ** (job.attempt - 1));
    job.attempt++;
  }
}

/** One consumer of an in-process scheduler: runs a handler a limited number of times at once. */
class InProcessRunner implements RunningScheduler {
  readonly #active = new Set<Promise<void>>();
  readonly #forced: Promise<void>;
  #force: () => void = () => undefined;
  #stopped = false;

  constructor(
    readonly handler: WakeUpHandler,
    private readonly concurrency: number,
  ) {
    this.#forced = new Promise((resolve) => (this.#force = resolve));
  }

  get free(): boolean {
    return !this.#stopped && this.#active.size < this.concurrency;
  }

  /** Counts `work`, which never rejects, as active until it ends. */
  run(work: Promise<void>): Promise<void> {
    const counted = work.finally(() => this.#active.delete(counted));
    this.#active.add(counted);
    return counted;
  }

  async close(force = false): Promise<void> {
    this.#stopped = true;
    if (force) this.#force();
    await Promise.race([this.#forced, Promise.all(this.#active)]);
  }
}
