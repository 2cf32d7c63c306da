import type { JobContext } from './context';
import type { Scheduler } from './scheduler';
import type { CounterWorker } from './worker';

/** An installation, as far as workers are concerned. */
interface Followed {
  readonly id: string;
  /** One that users gave serves every installation. */
  readonly scheduler: Scheduler;
}

/** The workers of one process, those that are starting included. */
export class StartedWorkers {
  readonly #workers = new Set<Promise<CounterWorker>>();
  /** Where they are, or are about to be; `null` where they could not begin. */
  #at: Followed | null | undefined;
  #moved: Promise<void> = Promise.resolve();

  /** Adds a worker before it has started, so that {@link close} waits for it. */
  add(starting: Promise<CounterWorker>): Promise<CounterWorker> {
    this.#workers.add(starting);
    return starting;
  }

  /** Moves the workers to this installation, if they are at another one. Rejects when they cannot take its alarms. */
  follow({ id, scheduler }: Followed, context: JobContext): Promise<void> {
    const from = this.#at;
    this.#at = { id, scheduler };
    // They begin at the first.
    const isThere = from === undefined || (from?.id === id && from.scheduler === scheduler);
    if (!isThere) this.#moved = this.#moved.catch(() => undefined).then(() => this.#move(context, scheduler));
    return this.#moved;
  }

  async #move(context: JobContext, scheduler: Scheduler): Promise<void> {
    try {
      await Promise.all((await this.#started()).map((worker) => worker.move(context, scheduler)));
    } catch (error) {
      this.#at = null;
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all((await this.#started()).map((worker) => worker.close()));
  }

  /** Those that started. The caller of one that did not start has its error. */
  async #started(): Promise<CounterWorker[]> {
    const started = await Promise.allSettled(this.#workers);
    return started.flatMap((worker) => (worker.status === 'fulfilled' ? [worker.value] : []));
  }
}
