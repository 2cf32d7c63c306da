/** How many wake-ups one process remembers. */
const LIMIT = 10_000;

interface Delayed {
  /** Until then the job cannot have run, so that adding it again is needless (monotonic, ms). */
  readonly until: number;
  readonly added: Promise<void>;
}

interface DueNow {
  readonly adding: Promise<void>;
  /** The add that stands for every wake-up which came after `adding` was sent. */
  following: Promise<void> | null;
}

/**
 * Adds one job per wake-up and process, instead of one per call.
 *
 * A delayed wake-up is added once until its time has come. One that is due now may have been answered already, whenever
 * it was added: it is added again, but while an add is on its way all that come share the next one.
 */
export class WakeUpMemory {
  readonly #delayed = new Map<string, Delayed>();
  readonly #dueNow = new Map<string, DueNow>();

  /** `now` is monotonic, ms: a wall clock that is set back would keep wake-ups from being added. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Resolves when a job that was added after this call, or that cannot have run yet, stands for the wake-up. */
  once(id: string, delay: number, add: () => Promise<void>): Promise<void> {
    return delay > 0 ? this.#onceDelayed(id, delay, add) : this.#onceNow(id, add);
  }

  #onceDelayed(id: string, delay: number, add: () => Promise<void>): Promise<void> {
    const standing = this.#delayed.get(id);
    if (standing !== undefined && standing.until > this.now()) return standing.added;
    const entry: Delayed = { until: this.now() + delay, added: add() };
    this.#makeRoom();
    this.#delayed.set(id, entry);
    entry.added.catch(() => {
      if (this.#delayed.get(id) === entry) this.#delayed.delete(id);
    });
    return entry.added;
  }

  #makeRoom(): void {
    if (this.#delayed.size < LIMIT) return;
    const now = this.now();
    for (const [id, { until }] of this.#delayed) if (until <= now) this.#delayed.delete(id);
    const [oldest] = this.#delayed.keys();
    if (this.#delayed.size >= LIMIT && oldest !== undefined) this.#delayed.delete(oldest);
  }

  #onceNow(id: string, add: () => Promise<void>): Promise<void> {
    const standing = this.#dueNow.get(id);
    if (standing === undefined) return this.#addNow(id, add);
    const addAgain = (): Promise<void> => this.#addNow(id, add);
    return (standing.following ??= standing.adding.then(addAgain, addAgain));
  }

  #addNow(id: string, add: () => Promise<void>): Promise<void> {
    const entry: DueNow = { adding: add(), following: null };
    this.#dueNow.set(id, entry);
    const forget = (): void => {
      if (entry.following === null) this.#dueNow.delete(id);
    };
    entry.adding.then(forget, forget);
    return entry.adding;
  }
}
