import type { JobContext } from './context';
import type { Scheduler } from './scheduler';
import type { CounterWorker } from './worker';

/** The workers of one process, those that are starting included. */
export class StartedWorkers {
  readonly #workers = new Set<Promise<CounterWorker>>();

  /** At once, so that {@link close} waits for one that is starting. */
  add(starting: Promise<CounterWorker>): Promise<CounterWorker> {
    this.#workers.add(starting);
    return starting;
  }

  /** Has them go on with another installation. */
  async move(context: JobContext, scheduler: Scheduler): Promise<void> {
    for (const worker of await this.#started()) await worker.move(context, scheduler);
  }

  async close(): Promise<void> {
    await Promise.all((await this.#started()).map((worker) => worker.close()));
  }

  /** Whoever called for a worker that did not start knows why. */
  async #started(): Promise<CounterWorker[]> {
    const started = await Promise.allSettled(this.#workers);
    return started.flatMap((worker) => (worker.status === 'fulfilled' ? [worker.value] : []));
  }
}
