import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** How long writes took, ms. */
export interface Latency {
  readonly writes: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Milliseconds between two looks at how many writes are to be begun. */
const TICK = 5;

/** Writes begun at a steady rate, however long they take: a slow one holds up none of those behind it. */
export class SteadyLoad {
  readonly failures: unknown[] = [];
  readonly #write: () => Promise<unknown>;
  readonly #perSecond: number;
  readonly #underWay = new Set<Promise<void>>();
  #histogram: RecordableHistogram = createHistogram();
  #timer: NodeJS.Timeout | null = null;

  constructor(write: () => Promise<unknown>, perSecond: number) {
    this.#write = write;
    this.#perSecond = perSecond;
  }

  start(): void {
    const since = performance.now();
    let begun = 0;
    this.#timer = setInterval(() => {
      const wanted = Math.floor(((performance.now() - since) * this.#perSecond) / 1_000);
      for (; begun < wanted; begun++) this.#begin();
    }, TICK);
  }

  /** Begins no more, and waits for those under way. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Writes that begin from now on are recorded here (µs), wherever those before were. */
  recordIn(histogram: RecordableHistogram): void {
    this.#histogram = histogram;
  }

  #begin(): void {
    const histogram = this.#histogram;
    const since = performance.now();
    const write = this.#write()
      .catch((error: unknown) => this.failures.push(error))
      .then(() => histogram.record(Math.max(1, Math.round((performance.now() - since) * 1_000))))
      .finally(() => this.#underWay.delete(write));
    this.#underWay.add(write);
  }
}

export function latencyOf(histogram: RecordableHistogram): Latency {
  const ms = (us: number): number => Math.round(us / 100) / 10;
  const [p50, p99] = [50, 99].map((part) => ms(histogram.percentile(part))) as [number, number];
  return { writes: histogram.count, p50, p99, max: ms(histogram.max) };
}
