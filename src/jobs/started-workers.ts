import type { JobContext } from './context';
import type { Scheduler } from './scheduler';
import type { CounterWorker } from './worker';

/** An installation, as far as workers are concerned. */
interface FollowedInstallation {
  readonly id: string;
  readonly scheduler: Scheduler;
}

/** The workers of one process, those that are starting included. */
export class StartedWorkers {
  readonly #workers = new Set<Promise<CounterWorker>>();
  /** Id of the installation that they are at. */
  #at: string | null = null;
  #moved: Promise<void> = Promise.resolve();

  /** At once, so that {@link close} waits for one that is starting. */
  add(starting: Promise<CounterWorker>): Promise<CounterWorker> {
    this.#workers.add(starting);
    return starting;
  }

  /** Has them go on with the installation that was opened last, if that is another one. */
  follow({ id, scheduler }: FollowedInstallation, context: JobContext): Promise<void> {
    const isFirst = this.#at === null;
    if (this.#at === id) return this.#moved;
    this.#at = id;
    if (!isFirst) this.#moved = this.#moved.catch(() => undefined).then(() => this.#move(context, scheduler));
    return this.#moved;
  }

  async #move(context: JobContext, scheduler: Scheduler): Promise<void> {
    await Promise.all((await this.#started()).map((worker) => worker.move(context, scheduler)));
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
