import { Outage } from '../outage';
import { CircuitBreaker } from './circuit-breaker';

interface BufferHealthOptions {
  /** Announces and takes back what counts for nothing; rejects while it is out of reach. */
  readonly probe: () => Promise<void>;
  /** Whether something is still to be requested from the buffer. */
  readonly isBehind: () => boolean;
  readonly onDegraded: (error: unknown) => void;
  readonly onRecovered: () => void;
}

/** Milliseconds for which the buffer is left alone after it failed. */
const PAUSE = 1_000;

/** Whether the buffer is in reach: an outage costs one write the time limit, not every one, and is reported once. */
export class BufferHealth {
  readonly #options: BufferHealthOptions;
  readonly #breaker = new CircuitBreaker(PAUSE, () => performance.now());
  readonly #outage: Outage;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: BufferHealthOptions) {
    this.#options = options;
    this.#outage = new Outage(options.onDegraded);
  }

  /** Whether to call the buffer now; then `succeeded` or `failed` has to follow. */
  attempt(): boolean {
    return this.#breaker.attempt();
  }

  succeeded(): void {
    this.#breaker.succeed();
    this.review();
  }

  failed(error: unknown): void {
    this.#breaker.fail();
    this.#outage.failed(error, { kind: 'out of reach' });
    this.#probeLater();
  }

  /** Reports the recovery once the buffer answers and nothing is left to be requested. */
  review(): void {
    if (!this.#outage.isUnderWay || !this.#breaker.isClosed || this.#options.isBehind()) return;
    this.#outage.succeeded();
    this.#options.onRecovered();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** There may be no writes for a while, and an outage is to end all the same. */
  #probeLater(): void {
    if (this.#isClosed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#probe();
    }, PAUSE).unref();
  }

  async #probe(): Promise<void> {
    if (this.#breaker.isClosed) return;
    if (!this.#breaker.attempt()) {
      this.#probeLater();
      return;
    }
    try {
      await this.#options.probe();
      this.succeeded();
    } catch (error) {
      this.failed(error);
    }
  }
}
