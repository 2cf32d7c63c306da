import { CounterCacheError } from '../errors';
import type { JobContext } from './context';
import type { Scheduler } from './scheduler';
import type { CounterWorker } from './worker';

/** An installation that is open, as far as workers are concerned. */
export interface WorkPlace {
  readonly installation: {
    readonly id: string;
    /** One that users gave serves every installation. */
    readonly scheduler: Scheduler;
  };
  readonly context: JobContext;
}

/** The workers of one process. They are at the installation that was opened last. */
export class StartedWorkers {
  readonly #workers = new Set<CounterWorker>();
  #place: WorkPlace | null = null;
  #isClosed = false;

  /**
   * Takes a worker that has started at a place: it goes on to where the others are.
   *
   * @throws CounterCacheError `CLOSED` when they are closed by now; the worker is closed then
   */
  async add(worker: CounterWorker, at: WorkPlace): Promise<void> {
    if (this.#isClosed) {
      await worker.close();
      throw new CounterCacheError('CLOSED', 'the counters were closed while the worker started');
    }
    this.#workers.add(worker);
    const place = this.#place;
    if (place !== null && !isSame(place, at)) await worker.move(place.context, place.installation.scheduler);
  }

  /** Moves the workers to this installation, if they are at another one; resolves when they have left that. */
  async follow(place: WorkPlace): Promise<void> {
    const from = this.#place;
    this.#place = place;
    if (from === null || isSame(from, place)) return;
    const { context, installation } = place;
    await Promise.all([...this.#workers].map((worker) => worker.move(context, installation.scheduler)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#workers].map((worker) => worker.close()));
  }
}

function isSame({ installation: one }: WorkPlace, { installation: other }: WorkPlace): boolean {
  return one.id === other.id && one.scheduler === other.scheduler;
}
