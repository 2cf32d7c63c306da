import { randomUUID } from 'node:crypto';

import type { DeltaBuffer, Finalized, FinalizeOptions, Recount } from '../engines/buffered/buffer';
import type { Alarm, Snapshot } from '../model/pending';
import { byShard } from '../model/shard';
import { forEachConcurrent } from '../engines/for-each-concurrent';

/** Milliseconds that a watch holds claims back at most, should its recalculation die; renewed while it lives. */
const TTL = 10_000;

/** What finalizes in several shards did. */
export interface Ended {
  /** In the order of the recounts. */
  readonly outcomes: readonly Finalized[];
  /** Targets for which something is pending now. */
  readonly dirty: ReadonlySet<string>;
}

/** Watches on targets, of whatever shards, under one token. Shards are called all at once. */
export class Watches {
  readonly #buffer: DeltaBuffer;
  readonly #token: string;
  /** In the order given. */
  readonly watched: readonly string[];

  private constructor(buffer: DeltaBuffer, token: string, watched: readonly string[]) {
    this.#buffer = buffer;
    this.#token = token;
    this.watched = watched;
  }

  /** Watches those targets for which it is not refused. */
  static async put(
    buffer: DeltaBuffer,
    targets: readonly string[],
    options: { readonly horizon: bigint; readonly plain: boolean },
  ): Promise<Watches> {
    const token = randomUUID();
    const watched = new Set<string>();
    try {
      await eachShard(buffer, targets, itself, async (shard, group) => {
        const outcomes = await buffer.watch(shard, token, group, { ttl: TTL, ...options });
        for (const [i, target] of group.entries()) if (outcomes[i] === 'watching') watched.add(target);
      });
    } catch (error) {
      await new Watches(buffer, token, [...watched]).end().catch(() => undefined);
      throw error;
    }
    return new Watches(
      buffer,
      token,
      targets.filter((target) => watched.has(target)),
    );
  }

  /** Runs `work`, however long it takes, keeping the watches alive; when it throws they end. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const renewal = setInterval(() => void this.#renew().catch(() => undefined), TTL / 4);
    try {
      return await work();
    } catch (error) {
      // What does not end now ends by itself.
      await this.end().catch(() => undefined);
      throw error;
    } finally {
      clearInterval(renewal);
    }
  }

  /**
   * Finalizes. Where one shard fails, the others are finalized all the same; their alarms go to `schedule` in any case.
   */
  async finalize(
    snapshot: Snapshot,
    recounts: readonly Recount[],
    options: FinalizeOptions,
    schedule: (alarms: readonly Alarm[]) => Promise<void>,
  ): Promise<Ended> {
    const outcomes = new Map<string, Finalized>();
    const dirty = new Set<string>();
    const alarms: Alarm[] = [];
    try {
      await eachShard(this.#buffer, recounts, targetOf, async (shard, group) => {
        const finalized = await this.#buffer.finalize(shard, this.#token, snapshot, group, options);
        for (const outcome of finalized.outcomes) outcomes.set(outcome.target, outcome);
        for (const target of finalized.dirty) dirty.add(target);
        alarms.push(...finalized.alarms);
      });
    } finally {
      await schedule(alarms);
    }
    return { outcomes: recounts.flatMap(({ target }) => outcomes.get(target) ?? []), dirty };
  }

  /** Puts off the requests of targets whose watch stands: one that came meanwhile has ended it. */
  async postpone(
    targets: readonly string[],
    delay: number,
    schedule: (alarms: readonly Alarm[]) => Promise<void>,
  ): Promise<void> {
    await eachShard(this.#buffer, targets, itself, async (shard, group) => {
      await schedule(await this.#buffer.postpone(shard, group, delay, this.#token));
    });
  }

  /** Ends those that still stand. */
  end(): Promise<void> {
    return this.leave(this.watched);
  }

  /** Ends some of them, and changes nothing. */
  async leave(targets: readonly string[]): Promise<void> {
    await eachShard(this.#buffer, targets, itself, (shard, group) => this.#buffer.unwatch(shard, this.#token, group));
  }

  async #renew(): Promise<void> {
    await eachShard(this.#buffer, this.watched, itself, (shard, group) =>
      this.#buffer.renew(shard, this.#token, group, TTL),
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
  return forEachConcurrent([...byShard(items, target, shards)], Infinity, ([shard, group]) => work(shard, group));
}
