import type { JobContext } from '../engines/context';
import type { Scheduler } from '../schedule/scheduler';
import { withTimeout } from '../time-limit';
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

/** A worker that has started, and where. */
export interface Arrival {
  readonly worker: CounterWorker;
  readonly at: WorkPlace;
}

/** The longest that closing waits for workers that are starting, ms: what they wait for may never answer. */
const STARTING_LIMIT = 5_000;

/** The workers of one process. They are at the installation that was opened last. */
export class StartedWorkers {
  readonly #workers = new Set<CounterWorker>();
  readonly #starting = new Set<Promise<unknown>>();
  #place: WorkPlace | null = null;
  #isClosed = false;

  /** Takes a worker that is starting: it goes on to where the others are, or is closed when they are. */
  add(starting: Promise<Arrival>): Promise<CounterWorker> {
    const started = starting.then((arrival) => this.#arrive(arrival));
    this.#starting.add(started);
    const forget = (): unknown => this.#starting.delete(started);
    started.then(forget, forget);
    return started;
  }

  /** Moves the workers to this installation, if they are at another one; resolves when they have left that. */
  async follow(place: WorkPlace): Promise<void> {
    const from = this.#place;
    this.#place = place;
    if (from === null || isSame(from, place)) return;
    const { context, installation } = place;
    await Promise.all([...this.#workers].map((worker) => worker.move(context, installation.scheduler)));
  }

  /** Waits for those that are starting, 5 s at most; one that comes later is closed then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const starting = withTimeout(Promise.allSettled(this.#starting), STARTING_LIMIT, undefined);
    await Promise.all([...this.#workers].map((worker) => worker.close()));
    await starting;
  }

  async #arrive({ worker, at }: Arrival): Promise<CounterWorker> {
    this.#workers.add(worker);
    const place = this.#place;
    if (this.#isClosed) await worker.close();
    else if (place !== null && !isSame(place, at)) await worker.move(place.context, place.installation.scheduler);
    return worker;
  }
}

function isSame({ installation: one }: WorkPlace, { installation: other }: WorkPlace): boolean {
  return one.id === other.id && one.scheduler === other.scheduler;
}
