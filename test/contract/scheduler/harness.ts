import type { Alarm } from '../../../src/model/pending';
import type { AlarmHandler, Scheduler } from '../../../src/schedule/scheduler';
import { until } from '../../support/until';

/** Attempts per alarm, with a back-off of a few ms: what every scheduler under test is configured with. */
export const ATTEMPTS = 3;

/** Schedulers that ring each other's alarms, as in several processes. */
export interface SchedulerSetup {
  /** Another scheduler of the same alarms; the only one, where there can be but one. */
  another(): Scheduler;
  /** What `onError` was told. */
  readonly errors: readonly unknown[];
  /** Alarms that wait, delayed or not; `null` where nobody can tell. */
  waiting(): Promise<number | null>;
  /** Closes every scheduler. */
  cleanup(): Promise<void>;
}

export type CreateSchedulers = () => Promise<SchedulerSetup>;

let time = 1_700_000_000_000;

/** An alarm of its own: no two have the same time, unless told otherwise. */
export function alarm(of: Partial<Alarm> = {}): Alarm {
  return { kind: 'reconcile', shard: 0, at: time++, delay: 0, ...of };
}

/** A handler that tells what it was called with, and can be held up. */
export class Probe {
  readonly rung: Parameters<AlarmHandler>[0][] = [];
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

  readonly handler: AlarmHandler = async (rung) => {
    this.rung.push(rung);
    this.mostActive = Math.max(this.mostActive, ++this.active);
    await this.#gate;
    this.active--;
  };

  /** Resolves when the handler was called that often in all. */
  async calls(count: number): Promise<void> {
    await until(() => this.rung.length >= count);
  }
}

/** Rings alarms of another kind until one has come through: what was to come before it has come, too. */
export async function settled(scheduler: Scheduler, probe: Probe): Promise<void> {
  const last = alarm({ kind: 'recalculate', shard: 99 });
  await scheduler.schedule([last]);
  await until(() => probe.rung.some(({ at }) => at === last.at));
}

/** The alarms without those that {@link settled} rang. */
export function rungTimes(probe: Probe): number[] {
  return probe.rung.filter(({ shard }) => shard !== 99).map(({ at }) => at);
}

export async function isPending(work: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([work, new Promise((resolve) => setTimeout(resolve, 30, pending))])) === pending;
}
