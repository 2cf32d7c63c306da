import type { WakeUpHandler, RunningScheduler } from '../scheduler';

/** One consumer of an in-process scheduler: runs a handler a limited number of times at once. */
export class InProcessRunner implements RunningScheduler {
  readonly #active = new Set<Promise<void>>();
  readonly #forced: Promise<void>;
  #force: () => void = () => undefined;
  #stopped = false;

  constructor(
    readonly handler: WakeUpHandler,
    private readonly concurrency: number,
  ) {
    this.#forced = new Promise((resolve) => (this.#force = resolve));
  }

  get free(): boolean {
    return !this.#stopped && this.#active.size < this.concurrency;
  }

  /** Counts `work`, which never rejects, as active until it ends. */
  run(work: Promise<void>): Promise<void> {
    const counted = work.finally(() => this.#active.delete(counted));
    this.#active.add(counted);
    return counted;
  }

  async close(force = false): Promise<void> {
    this.#stopped = true;
    if (force) this.#force();
    await Promise.race([this.#forced, Promise.all(this.#active)]);
  }
}
