import { randomUUID } from 'node:crypto';

import type { DeltaBuffer, Finalized, FinalizeOptions, Recount } from '../engines/buffered/buffer';
import type { WakeUp, Snapshot } from '../model/pending';
import { byShard, forEachShard } from '../model/shard';

/** Milliseconds that a lease holds claims back at most, should its recalculation die; renewed while it lives. */
const TTL = 10_000;

/** What finalizes in several shards did. */
export interface Ended {
  /** In the order of the recounts. */
  readonly outcomes: readonly Finalized[];
  /** Targets for which something is pending now. */
  readonly dirty: ReadonlySet<string>;
}

/** The lease of a recount on its targets, of any shards, under one token. Shards are called all at once. */
export class RecountLease {
  readonly #buffer: DeltaBuffer;
  readonly #token: string;
  /** Those that it was acquired for, in the order given. */
  readonly targets: readonly string[];

  private constructor(buffer: DeltaBuffer, token: string, leased: readonly string[]) {
    this.#buffer = buffer;
    this.#token = token;
    this.targets = leased;
  }

  /** Acquires it for those targets for which it is not refused. */
  static async acquire(
    buffer: DeltaBuffer,
    targets: readonly string[],
    options: { readonly horizon: bigint; readonly plain: boolean },
  ): Promise<RecountLease> {
    const token = randomUUID();
    const leased = new Set<string>();
    try {
      await eachShard(buffer, targets, itself, async (shard, group) => {
        const outcomes = await buffer.acquireLease(shard, token, group, { ttl: TTL, ...options });
        for (const [i, target] of group.entries()) if (outcomes[i] === 'acquired') leased.add(target);
      });
    } catch (error) {
      await new RecountLease(buffer, token, [...leased]).release().catch(() => undefined);
      throw error;
    }
    return new RecountLease(
      buffer,
      token,
      targets.filter((target) => leased.has(target)),
    );
  }

  /** Runs `work`, however long it takes, and renews the lease meanwhile; releases it when that throws. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const renewal = setInterval(() => void this.#renew().catch(() => undefined), TTL / 4);
    try {
      return await work();
    } catch (error) {
      // What does not end now ends by itself.
      await this.release().catch(() => undefined);
      throw error;
    } finally {
      clearInterval(renewal);
    }
  }

  /**
   * Finalizes. Where one shard fails, the others are finalized all the same; their wake-ups go to `schedule` in any case.
   */
  async finalize(
    snapshot: Snapshot,
    recounts: readonly Recount[],
    options: FinalizeOptions,
    schedule: (wakeUps: readonly WakeUp[]) => Promise<void>,
  ): Promise<Ended> {
    const outcomes = new Map<string, Finalized>();
    const dirty = new Set<string>();
    const wakeUps: WakeUp[] = [];
    try {
      await eachShard(this.#buffer, recounts, targetOf, async (shard, group) => {
        const finalized = await this.#buffer.finalize(shard, this.#token, snapshot, group, options);
        for (const outcome of finalized.outcomes) outcomes.set(outcome.target, outcome);
        for (const target of finalized.dirty) dirty.add(target);
        wakeUps.push(...finalized.wakeUps);
      });
    } finally {
      await schedule(wakeUps);
    }
    return { outcomes: recounts.flatMap(({ target }) => outcomes.get(target) ?? []), dirty };
  }

  /** Puts off the requests of targets whose lease stands: one that came meanwhile has ended it. */
  async postpone(
    targets: readonly string[],
    delay: number,
    schedule: (wakeUps: readonly WakeUp[]) => Promise<void>,
  ): Promise<void> {
    await eachShard(this.#buffer, targets, itself, async (shard, group) => {
      await schedule(await this.#buffer.postpone(shard, group, delay, this.#token));
    });
  }

  /** Releases some targets, or all that it still holds, and changes nothing else. */
  async release(targets: readonly string[] = this.targets): Promise<void> {
    await eachShard(this.#buffer, targets, itself, (shard, group) =>
      this.#buffer.releaseLease(shard, this.#token, group),
    );
  }

  async #renew(): Promise<void> {
    await eachShard(this.#buffer, this.targets, itself, (shard, group) =>
      this.#buffer.renewLease(shard, this.#token, group, TTL),
    );
  }
}

function itself(target: string): string {
  return target;
}

function targetOf({ target }: Recount): string {
  return target;
}

/** Waits for all shards, and only then throws what one of them has thrown. */
function eachShard<T>(
  { shards }: DeltaBuffer,
  items: readonly T[],
  target: (item: T) => string,
  work: (shard: number, group: readonly T[]) => Promise<void>,
): Promise<void> {
  return forEachShard(byShard(items, target, shards), Infinity, work);
}
