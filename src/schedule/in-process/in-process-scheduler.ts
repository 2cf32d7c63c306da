import type { Alarm } from '../../model/pending';
import { CounterCacheError } from '../../errors';
import type { AlarmHandler, RunningScheduler, Scheduler } from '../scheduler';
import { InProcessRunner } from './in-process-runner';

/** Options of an {@link InProcessScheduler}. */
export interface InProcessSchedulerOptions {
  /** Told every error a handler throws. @defaultValue emits a process warning */
  readonly onError?: (error: unknown) => void;
  /** How often one alarm is tried. @defaultValue 5 */
  readonly attempts?: number;
  /** Milliseconds until the second attempt; doubled for each further one. @defaultValue 1000 */
  readonly backoff?: number;
}

/** A delayed alarm, one that waits for a free runner, or one that is being handled. */
interface Job {
  readonly id: string;
  readonly alarm: Alarm;
  /** Milliseconds on the monotonic clock. */
  due: number;
  attempt: number;
  timer: NodeJS.Timeout | null;
  active: boolean;
  /** The same alarm, added while this one was active: runs afterwards. */
  again: Alarm | null;
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error), 'CounterCacheWarning');
}

/** Longest delay that a timer takes, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Rings alarms with timers of this process, which never keep it alive. Other processes are not told: for one process that
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

  async schedule(alarms: readonly Alarm[]): Promise<void> {
    this.#assertOpen();
    for (const alarm of alarms) this.#add(alarm);
  }

  async start(handler: AlarmHandler, options: { readonly concurrency: number }): Promise<RunningScheduler> {
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

  #add(alarm: Alarm): void {
    const id = `${alarm.kind}-${alarm.shard}-${alarm.at}`;
    const standing = this.#jobs.get(id);
    if (standing === undefined) {
      const job: Job = { id, alarm, due: 0, attempt: 1, timer: null, active: false, again: null };
      this.#jobs.set(id, job);
      this.#delay(job, alarm.delay);
    } else if (standing.active) {
      // The work may have looked before this alarm's target became due.
      standing.again = alarm;
    }
  }

  #delay(job: Job, delay: number): void {
    job.due = performance.now() + delay;
    this.#arm(job);
  }

  #arm(job: Job): void {
    const left = Math.max(0, Math.ceil(job.due - performance.now()));
    job.timer = setTimeout(() => this.#ring(job), Math.min(left, LONGEST_TIMER));
    job.timer.unref();
  }

  #ring(job: Job): void {
    job.timer = null;
    // Timers may ring a little early, and what is not due yet would wait for a sweep.
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

  async #handle(job: Job, handler: AlarmHandler): Promise<void> {
    const { kind, shard, at } = job.alarm;
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
