import type { Alarm } from '../model/pending';
import type { Outage } from '../outage';

/** Does the work of one alarm. Throws to have it retried. */
export type AlarmHandler = (alarm: {
  readonly kind: Alarm['kind'];
  readonly shard: number;
  readonly at: number;
}) => Promise<void>;

/** A running consumer of alarms. */
export interface RunningScheduler {
  /** Stops taking alarms and waits for the active ones; with `force` it does not wait. Idempotent. */
  close(force?: boolean): Promise<void>;
}

/**
 * Rings at the time of an alarm, in some process. Nothing depends on it (I4): a lost, doubled or late alarm costs
 * time, never a count, because workers sweep on their own timer.
 */
export interface Scheduler {
  /** Adds one unique deferred job per (kind, shard, at); adding it again is harmless. */
  schedule(alarms: readonly Alarm[]): Promise<void>;
  /** Starts consuming alarms in this process. */
  start(handler: AlarmHandler, options: { readonly concurrency: number }): Promise<RunningScheduler>;
  /** Closes only what the scheduler itself opened. Idempotent. */
  close(): Promise<void>;
}

/** An alarm that cannot be set costs time, not a count: the sweep finds what it was for (I4). */
export async function scheduleOrReport(scheduler: Scheduler, alarms: readonly Alarm[], outage: Outage): Promise<void> {
  if (alarms.length === 0) return;
  try {
    await scheduler.schedule(alarms);
    outage.succeeded();
  } catch (error) {
    outage.failed(error);
  }
}
