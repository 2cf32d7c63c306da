import type { DeltaBuffer } from '../engines/buffered/buffer';
import { withTimeout } from '../time-limit';

interface DiscardsOptions {
  /** Milliseconds between attempts. @defaultValue 500 */
  readonly retry?: number;
  /** Discards remembered at the most. @defaultValue 10_000 */
  readonly limit?: number;
}

/** Milliseconds between attempts to reach the buffer again. */
const RETRY = 500;

/** Discards remembered at the most: what is forgotten is swept, and recounted needlessly. */
const LIMIT = 10_000;

/** Discards sent at a time. */
const CHUNK = 500;

/** How long the last attempt may take, ms. */
const LAST_ATTEMPT = 1_000;

interface Discard {
  readonly buffer: Pick<DeltaBuffer, 'discard'>;
  readonly shard: number;
  readonly intentId: string;
}

/**
 * Takes back announcements that nothing will confirm. One that fails, or was never sent because the buffer had yet to answer
 * others, is sent again until the buffer answers: forgetting an intent twice changes nothing.
 */
export class Discards {
  readonly #options: DiscardsOptions;
  readonly #waiting = new Map<string, Discard>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: DiscardsOptions = {}) {
    this.#options = options;
  }

  /** Discards that failed and are sent again. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Sends a discard; resolves when it is answered, or waits to be sent again. */
  async send(buffer: Discard['buffer'], shard: number, intentId: string): Promise<void> {
    if (!(await this.#discard({ buffer, shard, intentId }))) this.#remember({ buffer, shard, intentId });
  }

  /** One last attempt, 1 s at most; what fails is left to the sweep. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.size > 0) await withTimeout(this.#sendAgain(), LAST_ATTEMPT, undefined);
    this.#waiting.clear();
  }

  async #discard({ buffer, shard, intentId }: Discard): Promise<boolean> {
    try {
      await buffer.discard(shard, intentId);
      return true;
    } catch {
      return false;
    }
  }

  #remember(discard: Discard): void {
    const { limit = LIMIT } = this.#options;
    if (this.#isClosed || this.#waiting.size >= limit) return;
    this.#waiting.set(`${discard.shard} ${discard.intentId}`, discard);
    this.#sendLater();
  }

  #sendLater(): void {
    if (this.#isClosed || this.#timer !== null) return;
    const { retry = RETRY } = this.#options;
    this.#timer = setTimeout(() => {
      // Kept until it is over: attempts never overlap.
      void this.#sendAgain().finally(() => {
        this.#timer = null;
        if (this.#waiting.size > 0) this.#sendLater();
      });
    }, retry).unref();
  }

  /** Stops at the first chunk of which everything fails: the buffer does not answer yet. */
  async #sendAgain(): Promise<void> {
    const waiting = [...this.#waiting];
    for (let at = 0; at < waiting.length; at += CHUNK) {
      const outcomes = await Promise.all(
        waiting.slice(at, at + CHUNK).map(async ([key, discard]) => {
          const isDone = await this.#discard(discard);
          if (isDone) this.#waiting.delete(key);
          return isDone;
        }),
      );
      if (!outcomes.includes(true)) return;
    }
  }
}
