import { ConfigurationError } from '../errors';

/** Collects every mistake, so that all are reported at once. */
export class Problems {
  readonly #messages: string[] = [];

  /** Number of mistakes found so far. */
  get count(): number {
    return this.#messages.length;
  }

  add(message: string): void {
    this.#messages.push(message);
  }

  /** A reporter that says where. */
  at(place: string): (message: string) => void {
    return (message) => this.add(`${place}: ${message}`);
  }

  /** @throws ConfigurationError when there is any. */
  throwIfAny(): void {
    if (this.#messages.length > 0) throw new ConfigurationError([...this.#messages]);
  }
}
