import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import type { Counters } from '../counters';
import { withConnection } from '../dialects/postgres/query';
import { allocateBarrier, isHeldUpElsewhere } from '../dialects/postgres/snapshot';
import { besidePool } from '../dialects/postgres/side-connection';
import { MemoryBuffer, type MemoryBufferOptions } from '../engines/buffered/memory/memory-buffer';
import type { JobContext } from '../engines/context';
import { internalsOf } from '../internals';
import { recalculateDue } from '../recount/recalculate';
import { InProcessScheduler, type InProcessSchedulerOptions } from '../schedule/in-process/in-process-scheduler';
import type { Scheduler, WakeUpHandler } from '../schedule/scheduler';
import type { WakeUp } from '../model/pending';
import { withTimeout } from '../time-limit';
import { flush } from '../worker/flush';
import { takeOver } from './flush-all';
import { resetAndRetry } from './reset-and-retry';

/** Rounds of applying and recounting after one COMMIT: a recount may ask for another. */
const ROUNDS = 10;

/** The longest that a repair waits for transactions of other databases, ms: other test files may share the server. */
const ELSEWHERE_LIMIT = 2_000;

/** The longest that a run is waited for, ms: it may wait for a lock of a transaction that the test has open. */
const RUN_LIMIT = 5_000;

/** Until a run after one that failed, or that found a batch of another, ms; doubled from failure to failure. */
const RETRY = 1_100;

/** The longest that it may become, ms. */
const MAX_RETRY = 60_000;

/**
 * Applies what a transaction has committed before its caller goes on, without any server but the database. Runs come one
 * after the other: they would pass over each other's rows.
 */
export class Inline {
  readonly buffer: MemoryBuffer;
  readonly scheduler: Scheduler;
  readonly #applying = new AsyncLocalStorage<true>();
  #counters: Counters | null = null;
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  /** Something may be left: its row was locked, a repair has to wait, or other work than a run has set a wake-up. */
  #isBehind = false;
  /** Runs in a row that have failed. */
  #failures = 0;
  /** Until the run after one that failed, or that found a batch of another. */
  #retry: NodeJS.Timeout | null = null;

  constructor(options: MemoryBufferOptions) {
    this.buffer = new MemoryBuffer(options);
    this.scheduler = new InlineScheduler({
      onError: (error) => this.#report(error),
      // A call of `flush()` gives back batches that a run could not see, and sets a wake-up for them.
      onSchedule: () => (this.#isBehind ||= this.#applying.getStore() !== true),
    });
  }

  /** Applies for these counters from now on. */
  async serve(counters: Counters): Promise<void> {
    this.#counters = counters;
    // Only for what a run has left, and for recounts that are scheduled.
    const handler: WakeUpHandler = async ({ kind }) => {
      if (this.#isBehind || kind === 'recalculate') await this.apply();
    };
    await this.scheduler.start(handler, { concurrency: 1 });
  }

  /** Resolves when all that is committed by now is applied, as far as it can be, or after 5 s. Never rejects. */
  apply(): Promise<void> {
    if (this.#counters === null) return Promise.resolve();
    if (this.#applying.getStore() !== true) return withTimeout(this.#runNext(), RUN_LIMIT, undefined);
    // Of a method or a listener that writes, or of a timer that was set in a run: the next run must not be waited for.
    void this.#applying.exit(() => this.#runNext());
    return Promise.resolve();
  }

  #runNext(): Promise<void> {
    // The run under way may have looked before the COMMIT; the next one serves all who come until it begins.
    this.#next ??= this.#current.then(() => {
      this.#next = null;
      return (this.#current = this.#run());
    });
    return this.#next;
  }

  /** Resolves when no run is under way, or after 5 s. */
  async idle(): Promise<void> {
    const runs = async (): Promise<void> => {
      await this.#next;
      await this.#current;
    };
    await withTimeout(runs(), RUN_LIMIT, undefined);
  }

  /**
   * Applies what is committed by now, as far as it can be, and nothing any more. Waits 5 s at most for COMMITs under way, and as
   * long for the last run.
   */
  async stop(): Promise<void> {
    if (this.#counters !== null) {
      await internalsOf(this.#counters).publisher.ended(RUN_LIMIT);
      await this.apply();
    }
    this.#counters = null;
    this.#clearRetry();
    await this.idle();
  }

  async #run(): Promise<void> {
    const counters = this.#counters;
    if (counters === null) return;
    const { dataSource, publisher, opening } = internalsOf(counters);
    // It may have been destroyed without close().
    if (!dataSource.isInitialized) return;
    try {
      await publisher.published();
      await publisher.requestLost();
      const apply = async (): Promise<Left> => applyAll((await opening.open()).context);
      this.#isBehind = false;
      const { unapplied, batches } = await this.#applying.run(true, () =>
        besidePool('full', () => apply().catch((error: unknown) => resetAndRetry(counters, error, apply))),
      );
      this.#isBehind ||= unapplied + batches > 0;
      this.#failures = 0;
      this.#clearRetry();
      if (batches > 0) this.#retryIn(RETRY);
    } catch (error) {
      this.#isBehind = true;
      this.#report(error);
      this.#retryIn(Math.min(RETRY * 2 ** this.#failures, MAX_RETRY));
      this.#failures += 1;
    }
  }

  /** One run more: nothing else may be written. */
  #retryIn(ms: number): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      void this.apply();
    }, ms).unref();
  }

  #clearRetry(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
  }

  #report(error: unknown): void {
    if (this.#counters !== null) internalsOf(this.#counters).events.emit('error', error);
  }
}

interface InlineSchedulerOptions extends InProcessSchedulerOptions {
  /** A wake-up is set. */
  readonly onSchedule: () => void;
}

class InlineScheduler extends InProcessScheduler {
  readonly #onSchedule: () => void;

  constructor({ onSchedule, ...options }: InlineSchedulerOptions) {
    super(options);
    this.#onSchedule = onSchedule;
  }

  override async schedule(wakeUps: readonly WakeUp[]): Promise<void> {
    if (wakeUps.length > 0) this.#onSchedule();
    await super.schedule(wakeUps);
  }
}

/** What a run has left. */
interface Left {
  readonly unapplied: number;
  /** Batches that are claimed: by a run that failed, or by another call. */
  readonly batches: number;
}

async function applyAll(context: JobContext): Promise<Left> {
  let [unapplied, batches] = [0, 0];
  // Of a run that failed: no other process looks after them. One that fails again delays no others (I11).
  const failure = await takeOver(context).then(
    () => null,
    (error: unknown) => ({ error }),
  );
  for (let round = 0; round < ROUNDS; round++) {
    ({ unapplied } = await flush(context, {}));
    if (!(await recountDue(context))) break;
  }
  const { buffer } = context;
  for (let shard = 0; shard < buffer.shards; shard++) {
    const status = await buffer.status(shard);
    unapplied += status.dirty + status.repairs;
    batches += status.batches;
  }
  if (failure !== null) throw failure.error;
  return { unapplied, batches };
}

/** Returns whether anything was due. */
async function recountDue(context: JobContext): Promise<boolean> {
  const { buffer } = context;
  let wasDue = false;
  await waitForOtherDatabases(context);
  for (let shard = 0; shard < buffer.shards; shard++) {
    if ((await buffer.dueRecalculations(shard, 1)).length === 0) continue;
    wasDue = true;
    await recalculateDue(context, shard);
  }
  return wasDue;
}

/** Waits, if a repair is due, until transactions of other databases do not hold it up. */
async function waitForOtherDatabases({ buffer, dataSource }: JobContext): Promise<void> {
  const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
  const due = await Promise.all(shards.map((shard) => buffer.dueRecalculations(shard, 1)));
  if (!due.flat().some(({ repair }) => repair)) return;
  const end = performance.now() + ELSEWHERE_LIMIT;
  await withConnection(dataSource, async (runner) => {
    const barrier = await allocateBarrier(runner);
    while (performance.now() < end && (await isHeldUpElsewhere(runner, barrier))) await delay(5);
  });
}
