import { setTimeout as delay } from 'node:timers/promises';

import type { JobContext } from '../engines/context';
import type { TargetDelta } from '../model/pending';
import { BufferUnavailableError } from '../errors';
import { Outage } from '../outage';
import { withTimeout } from '../time-limit';

interface LostTargetsOptions {
  readonly destination: () => Promise<Pick<JobContext, 'buffer' | 'schedule'>>;
  readonly barrier: () => Promise<bigint>;
  readonly maxPendingRepairs: number;
  readonly onRecovered: () => void;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between attempts to reach the buffer again. */
const RETRY = 500;

/** How long the last attempt may take, ms: a frozen Redis would hold up the end of the process. */
const LAST_ATTEMPT = 5_000;

/** Targets per request. */
const CHUNK = 1_000;

interface Lost {
  /** How often a delta of the target was lost. */
  readonly times: number;
  /** Transactions open when it was lost have to be over before the recount. */
  readonly repair: boolean;
}

/**
 * Targets whose committed delta could not be handed to the buffer. They are kept in memory, bounded, until a
 * recalculation of them can be requested.
 */
export class LostTargets {
  readonly #options: LostTargetsOptions;
  readonly #targets = new Map<number, Map<string, Lost>>();
  #size = 0;
  readonly #overflow: Outage;
  #timer: NodeJS.Timeout | null = null;
  #requesting: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: LostTargetsOptions) {
    this.#options = options;
    this.#overflow = new Outage(options.onError);
  }

  /** Targets that still wait. */
  get size(): number {
    return this.#size;
  }

  add(shard: number, deltas: readonly Pick<TargetDelta, 'target' | 'repair'>[]): void {
    const kept = this.#targets.get(shard) ?? new Map<string, Lost>();
    this.#targets.set(shard, kept);
    for (const { target, repair } of deltas) {
      const known = kept.get(target) ?? { times: 0, repair: false };
      if (known.times === 0 && this.#size >= this.#options.maxPendingRepairs) {
        this.#reportOverflow();
        continue;
      }
      kept.set(target, { times: known.times + 1, repair: known.repair || repair });
      if (known.times === 0) this.#size += 1;
    }
    void this.#start();
  }

  /** One attempt, if anything waits. */
  async attempt(): Promise<void> {
    if (this.#size > 0) await this.#start();
  }

  /** Resolves when every target has been requested, or given away by {@link close}. */
  async settled(): Promise<void> {
    while (this.#size > 0) {
      await this.#start();
      if (this.#size > 0) await delay(RETRY);
    }
  }

  /** One last attempt; returns the targets that are lost. */
  async close(): Promise<readonly string[]> {
    if (this.#size > 0) await withTimeout(this.#start(), LAST_ATTEMPT, undefined);
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const left = [...this.#targets.values()].flatMap((targets) => [...targets.keys()]);
    this.#targets.clear();
    this.#size = 0;
    return left;
  }

  #start(): Promise<void> {
    this.#requesting ??= this.#request().finally(() => {
      this.#requesting = null;
      // Added when the last look was over.
      if (this.#size > 0 && this.#timer === null && !this.#isClosed) void this.#start();
    });
    return this.#requesting;
  }

  async #request(): Promise<void> {
    try {
      for (const [shard, targets] of this.#targets) {
        while (targets.size > 0 && !this.#isClosed) await this.#requestChunk(shard, targets);
        this.#targets.delete(shard);
      }
      if (this.#isClosed) return;
      this.#overflow.succeeded();
      this.#options.onRecovered();
    } catch {
      if (this.#isClosed) return;
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        void this.#start();
      }, RETRY).unref();
    }
  }

  async #requestChunk(shard: number, targets: Map<string, Lost>): Promise<void> {
    const chunk = [...targets].slice(0, CHUNK);
    const { buffer, schedule } = await this.#options.destination();
    // Usually no barrier: the transactions that changed these targets are over.
    const barrier = chunk.some(([, { repair }]) => repair) ? await this.#options.barrier() : 0n;
    const names = chunk.map(([target]) => target);
    const wakeUps = await buffer.requestRepair(shard, names, barrier);
    for (const [target, { times }] of chunk) {
      // Lost again while the request was under way: it may have been recalculated too early for that.
      if (this.#isClosed || targets.get(target)?.times !== times) continue;
      targets.delete(target);
      this.#size -= 1;
    }
    await schedule(wakeUps);
  }

  #reportOverflow(): void {
    const { maxPendingRepairs } = this.#options;
    const advice = 'Run counters.recalculate() once Redis answers again, or raise `maxPendingRepairs`';
    const reason = `more than ${maxPendingRepairs} targets wait for a recalculation; further ones are forgotten. ${advice}`;
    this.#overflow.failed(new BufferUnavailableError(reason, { maxPendingRepairs }));
  }
}
