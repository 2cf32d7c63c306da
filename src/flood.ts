import { kindOf } from './outage';

/** Errors of one kind that are let through within {@link WINDOW}. */
const LIMIT = 20;

/** ms */
const WINDOW = 60_000;

/** Kinds that are told apart. */
const MAX_KINDS = 200;

interface Seen {
  count: number;
  /** When the first of them came (monotonic, ms). */
  readonly since: number;
}

/** The last resort against an error that repeats itself without end: of each kind 20 are let through per minute. */
export class Flood {
  readonly #seen = new Map<string, Seen>();

  /** Whether an error is still to be told. */
  lets(error: unknown): boolean {
    const now = performance.now();
    const kind = kindOf(error);
    const seen = this.#seen.get(kind);
    if (seen !== undefined && now - seen.since < WINDOW) return ++seen.count <= LIMIT;
    this.#seen.delete(kind);
    if (this.#seen.size >= MAX_KINDS) this.#forgetOldest();
    this.#seen.set(kind, { count: 1, since: now });
    return true;
  }

  #forgetOldest(): void {
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}
