import { Outage } from '../outage';

/** Work that is done again and again, from the start on, until it is stopped; its runs never overlap. What it fails with is reported once until it succeeds. */
export class Repeated {
  readonly #work: () => Promise<unknown>;
  readonly #interval: number;
  readonly #outage: Outage;
  #timer: NodeJS.Timeout | null = null;
  #run: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** The next run starts `interval` ms after the last one ended. */
  constructor(work: () => Promise<unknown>, interval: number, onError: (error: unknown) => void) {
    this.#work = work;
    this.#interval = interval;
    this.#outage = new Outage(onError);
    this.#start();
  }

  /** Resolves when the run under way, if any, is over. */
  stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    return this.#run;
  }

  #start(): void {
    this.#run = this.#work()
      .then(
        () => this.#outage.succeeded(),
        (error: unknown) => this.#outage.failed(error),
      )
      .finally(() => {
        if (!this.#isStopped) this.#timer = setTimeout(() => this.#start(), this.#interval);
      });
  }
}
