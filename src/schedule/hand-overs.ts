import type { WakeUp } from '../model/pending';
import { handOverWakeUp } from '../model/own-wake-up';

/** Once what waits for others has been due for so long, it may be that this worker is always first at its wake-up, ms. */
const CONTESTED = 500;

/** How long this worker takes no wake-ups after the last that was for others, ms. */
const REST = 400;

/** The longest that one spell of rest may become, ms. */
const MAX_REST = 2_000;

/** From the start of a rest that helped nothing to that of the next, ms: there may be no other worker. */
const BETWEEN_RESTS = 5_000;

/**
 * Calls other workers for what this one does not know.
 *
 * A worker that waits for a job wakes up when it is due, and nothing in the queue keeps the same one from being first each
 * time. So a worker that meets what it does not know again and again calls for others at once, and keeps its handlers
 * from ending for a while: when all are taken it cannot take another wake-up, and the call is for another worker.
 */
export class HandOvers {
  #isStopped = false;
  #lastBegan = -Infinity;
  #until = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #resting: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  /** The wake-up for what waits in a shard. `overdue` says for how many ms it has been due; `null` when it was put off. */
  wakeUp(shard: number, overdue: number | null): WakeUp {
    const isContested = overdue !== null && overdue >= CONTESTED;
    if (!isContested || !this.#mayRest(overdue)) return handOverWakeUp(shard, overdue);
    this.#rest();
    const at = Date.now();
    return { kind: 'reconcile', shard, at, delay: 0 };
  }

  /** Resolves when this worker may take wake-ups. */
  rested(): Promise<void> {
    return this.#resting ?? Promise.resolve();
  }

  /** Rests no more. */
  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  #mayRest(overdue: number): boolean {
    if (this.#isStopped) return false;
    const since = performance.now() - this.#lastBegan;
    if (this.#resting !== null) return since < MAX_REST;
    // What was due when the last rest began was not taken in it.
    return since >= BETWEEN_RESTS || overdue < since;
  }

  #rest(): void {
    const now = performance.now();
    this.#until = now + REST;
    if (this.#resting !== null) return;
    this.#lastBegan = now;
    this.#resting = new Promise((resolve) => (this.#wake = resolve));
    this.#arm();
  }

  #arm(): void {
    const left = this.#until - performance.now();
    if (left <= 0) return this.#end();
    this.#timer = setTimeout(() => this.#arm(), Math.ceil(left));
  }

  #end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#resting = null;
    this.#wake();
  }
}
