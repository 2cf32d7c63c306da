/**
 * Keeps callers from something that has just failed: after a failure no caller may try for `pause` ms, then one, and when
 * that fails as well, none again.
 */
export class CircuitBreaker {
  readonly #pause: number;
  readonly #now: () => number;
  /** `null`: closed, everybody may try. */
  #openUntil: number | null = null;
  #isProbing = false;

  /** `now` is a clock that only moves forward, ms. */
  constructor(pause: number, now: () => number) {
    this.#pause = pause;
    this.#now = now;
  }

  get isClosed(): boolean {
    return this.#openUntil === null;
  }

  /** Whether the caller may try; then it has to report how it ended. */
  attempt(): boolean {
    if (this.#openUntil === null) return true;
    if (this.#isProbing || this.#now() < this.#openUntil) return false;
    this.#isProbing = true;
    return true;
  }

  succeed(): void {
    this.#openUntil = null;
    this.#isProbing = false;
  }

  fail(): void {
    this.#openUntil = this.#now() + this.#pause;
    this.#isProbing = false;
  }
}
