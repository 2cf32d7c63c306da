import type { WakeUp } from '../model/pending';
import type { Outage } from '../outage';

/** Does the work of one wake-up. Throws to have it retried. */
export type WakeUpHandler = (wakeUp: {
  readonly kind: WakeUp['kind'];
  readonly shard: number;
  readonly at: number;
}) => Promise<void>;

/** A running consumer of wake-ups. */
export interface RunningScheduler {
  /** Stops taking wake-ups and waits for the active ones; with `force` it does not wait. Idempotent. */
  close(force?: boolean): Promise<void>;
}

/**
 * Fires at the time of a wake-up, in some process. Nothing depends on it (I4): a lost, doubled or late wake-up costs
 * time, never a count, because workers sweep on their own timer.
 */
export interface Scheduler {
  /** Adds one unique deferred job per (kind, shard, at); adding it again is harmless. */
  schedule(wakeUps: readonly WakeUp[]): Promise<void>;
  /** Starts consuming wake-ups in this process. */
  start(handler: WakeUpHandler, options: { readonly concurrency: number }): Promise<RunningScheduler>;
  /** Closes only what the scheduler itself opened. Idempotent. */
  close(): Promise<void>;
}

/** A wake-up that cannot be set costs time, not a count: the sweep finds what it was for (I4). */
export async function scheduleOrReport(
  scheduler: Scheduler,
  wakeUps: readonly WakeUp[],
  outage: Outage,
): Promise<void> {
  try {
    await scheduler.schedule(wakeUps);
    outage.succeeded();
  } catch (error) {
    outage.failed(error);
  }
}
