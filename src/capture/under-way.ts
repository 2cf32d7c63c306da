/** Work that nobody awaits: only how much there is, since a set of all of it would cost the garbage collector. */
export class UnderWay {
  #count = 0;
  readonly #waiting: (() => void)[] = [];

  /** `work` must not reject. */
  add(work: Promise<void>): void {
    this.#count += 1;
    void work.then(() => this.#end());
  }

  /** Resolves when nothing is under way, whatever is added meanwhile. */
  async over(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #end(): void {
    this.#count -= 1;
    if (this.#count === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
