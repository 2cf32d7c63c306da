/** Work that was begun between two questions whether all of it is over. */
interface Generation {
  count: number;
  /** Once nothing is added to it any more: settles when all of it is over. */
  over: Promise<void> | undefined;
  finish: () => void;
}

/** Work that is not awaited: only how much there is, since a set of all of it would cost the garbage collector. */
export class InFlight {
  #count = 0;
  readonly #waiting: (() => void)[] = [];
  #current: Generation = newGeneration();
  /** Closed ones that are not over. */
  #before: Generation[] = [];

  /** `work` must not reject. */
  add(work: Promise<void>): void {
    const generation = this.#current;
    this.#count += 1;
    generation.count += 1;
    void work.then(() => this.#end(generation));
  }

  /** Resolves when all that is under way now is over; what is added meanwhile is not waited for. */
  async passed(): Promise<void> {
    if (this.#count === 0) return;
    if (this.#current.count > 0) {
      const closed = this.#current;
      closed.over = new Promise((resolve) => (closed.finish = resolve));
      this.#before.push(closed);
      this.#current = newGeneration();
    }
    for (const { over } of this.#before.slice()) await over;
  }

  /** Resolves when nothing is under way, nor what is added meanwhile. */
  async over(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #end(generation: Generation): void {
    this.#count -= 1;
    generation.count -= 1;
    if (generation.count === 0 && generation.over !== undefined) {
      this.#before = this.#before.filter((one) => one !== generation);
      generation.finish();
    }
    if (this.#count === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function newGeneration(): Generation {
  return { count: 0, over: undefined, finish: () => undefined };
}
