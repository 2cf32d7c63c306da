import type { WakeUp } from '../../../src/model/pending';
import type { WakeUpHandler, Scheduler } from '../../../src/schedule/scheduler';
import { until } from '../../support/until';

/** Attempts per wake-up, with a back-off of a few ms: what every scheduler under test is configured with. */
export const ATTEMPTS = 3;

/** Schedulers that fire each other's wake-ups, as in several processes. */
export interface SchedulerSetup {
  /** Another scheduler of the same wake-ups; the only one, where there can be but one. */
  another(): Scheduler;
  /** What `onError` was told. */
  readonly errors: readonly unknown[];
  /** Wake-ups that wait, delayed or not; `null` where nobody can tell. */
  waiting(): Promise<number | null>;
  /** Closes every scheduler. */
  cleanup(): Promise<void>;
}

export type CreateSchedulers = () => Promise<SchedulerSetup>;

let time = 1_700_000_000_000;

/** A wake-up of its own: no two have the same time, unless told otherwise. */
export function wakeUp(of: Partial<WakeUp> = {}): WakeUp {
  return { kind: 'reconcile', shard: 0, at: time++, delay: 0, ...of };
}

/** A handler that tells what it was called with, and can be held up. */
export class Probe {
  readonly fired: Parameters<WakeUpHandler>[0][] = [];
  active = 0;
  mostActive = 0;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  /** Calls wait from now on. */
  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#open();
  }

  readonly handler: WakeUpHandler = async (fired) => {
    this.fired.push(fired);
    this.mostActive = Math.max(this.mostActive, ++this.active);
    await this.#gate;
    this.active--;
  };

  /** Resolves when the handler was called that often in all. */
  async calls(count: number): Promise<void> {
    await until(() => this.fired.length >= count);
  }
}

/** Fires wake-ups of another kind until one has come through: what was to come before it has come, too. */
export async function settled(scheduler: Scheduler, probe: Probe): Promise<void> {
  const last = wakeUp({ kind: 'recalculate', shard: 99 });
  await scheduler.schedule([last]);
  await until(() => probe.fired.some(({ at }) => at === last.at));
}

/** The wake-ups without those that {@link settled} fired. */
export function firedTimes(probe: Probe): number[] {
  return probe.fired.filter(({ shard }) => shard !== 99).map(({ at }) => at);
}

export async function isPending(work: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([work, new Promise((resolve) => setTimeout(resolve, 30, pending))])) === pending;
}
