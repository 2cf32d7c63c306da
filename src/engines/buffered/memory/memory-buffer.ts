import type {
  Claim,
  Confirmed,
  DeltaBuffer,
  FinalizeOptions,
  Held,
  Intent,
  Known,
  Recount,
  ShardStatus,
  LeaseOutcome,
} from '../buffer';
import type { WakeUp, Batch, ClaimScope, Snapshot, Unapplied } from '../../../model/pending';
import { acknowledge, claim, earliest, takeOver } from './batches';
import { finalize } from './finalize';
import { addDeltas, announce, confirm, staleIntents, sweepIntents } from './intents';
import { MemoryShard } from './memory-shard';
import { dueRecalculations, postpone, acquire, type LeaseOptions } from './recalculations';
import { Step } from './step';
import { windowStart } from '../../../model/windows';

/** Options of a {@link MemoryBuffer}. */
export interface MemoryBufferOptions {
  /** @defaultValue 1 */
  readonly shards?: number;
  /** Due times are rounded up to multiples of it, ms. @defaultValue 1000 */
  readonly window?: number;
  /** The buffer's clock, ms since the epoch. @defaultValue `Date.now` */
  readonly now?: () => number;
}

/**
 * Pending deltas in this process: what is pending ends with it. It serves users' tests, by the entry point `testing`, and is
 * the model that Redis is compared with.
 * Every method does its work in one synchronous step, so nothing ever interleaves within it.
 *
 * @example
 * const buffer = new MemoryBuffer({ window: 10 });
 */
export class MemoryBuffer implements DeltaBuffer {
  readonly shards: number;
  readonly #window: number;
  readonly #now: () => number;
  readonly #shards: MemoryShard[];

  constructor(options: MemoryBufferOptions = {}) {
    this.shards = options.shards ?? 1;
    this.#window = options.window ?? 1000;
    this.#now = options.now ?? Date.now;
    this.#shards = Array.from({ length: this.shards }, () => new MemoryShard());
  }

  /** It ends with the process, and then every epoch is missing. */
  async incarnation(): Promise<null> {
    return null;
  }

  async epoch(shard: number): Promise<number | null> {
    return this.#shard(shard).epoch;
  }

  async raiseEpoch(shard: number, epoch: number): Promise<void> {
    const state = this.#shard(shard);
    if (state.epoch === null || state.epoch < epoch) state.epoch = epoch;
  }

  async clear(shard: number, epoch: number): Promise<void> {
    const { version } = this.#shard(shard);
    this.#shards[shard] = Object.assign(new MemoryShard(), { epoch, version: version + 1 });
  }

  async announce(shard: number, intent: Intent): Promise<void> {
    announce(this.#shard(shard), intent, this.#now());
  }

  async confirm(shard: number, intentId: string): Promise<Confirmed> {
    return confirm(this.#shard(shard), shard, intentId, this.#step());
  }

  async discard(shard: number, intentId: string): Promise<void> {
    this.#shard(shard).intents.delete(intentId);
  }

  async add(shard: number, intent: Intent): Promise<readonly WakeUp[]> {
    const step = this.#step();
    addDeltas(this.#shard(shard), intent, step);
    return step.wakeUps(shard);
  }

  async claim(shard: number, scope: ClaimScope, limit: number, known?: Known): Promise<Claim> {
    return claim(this.#shard(shard), shard, scope, { limit, now: this.#now(), known });
  }

  async acknowledge(shard: number, batchId: string, unapplied: readonly Unapplied[]): Promise<Confirmed> {
    const step = this.#step();
    const found = acknowledge(this.#shard(shard), batchId, unapplied, step);
    return { found, wakeUps: step.wakeUps(shard) };
  }

  async takeOver(shard: number, olderThan: number, limit: number): Promise<readonly Batch[]> {
    return takeOver(this.#shard(shard), olderThan, limit, this.#now());
  }

  async staleIntents(shard: number, olderThan: number, limit: number): Promise<readonly string[]> {
    return staleIntents(this.#shard(shard), olderThan, limit, this.#now());
  }

  async sweepIntents(
    shard: number,
    intentIds: readonly string[],
    barrier: bigint,
  ): Promise<{ readonly targets: readonly string[]; readonly wakeUps: readonly WakeUp[] }> {
    const step = this.#step();
    const targets = sweepIntents(this.#shard(shard), intentIds, barrier, step);
    return { targets, wakeUps: step.wakeUps(shard) };
  }

  async requestRepair(shard: number, targets: readonly string[], barrier: bigint): Promise<readonly WakeUp[]> {
    const step = this.#step();
    const state = this.#shard(shard);
    for (const target of targets) state.requestRepair(target, step.now, barrier, step);
    return step.wakeUps(shard);
  }

  async dueRecalculations(
    shard: number,
    limit: number,
  ): Promise<readonly { readonly target: string; readonly repair: boolean }[]> {
    return dueRecalculations(this.#shard(shard), limit, this.#now());
  }

  async acquireLease(
    shard: number,
    token: string,
    targets: readonly string[],
    options: LeaseOptions,
  ): Promise<readonly LeaseOutcome[]> {
    const now = this.#now();
    const state = this.#shard(shard);
    return targets.map((target) => acquire(state, token, target, options, now));
  }

  async finalize(
    shard: number,
    token: string,
    snapshot: Snapshot,
    recounts: readonly Recount[],
    options: FinalizeOptions,
  ): ReturnType<DeltaBuffer['finalize']> {
    const step = this.#step();
    const state = this.#shard(shard);
    const outcomes = finalize(state, token, snapshot, recounts, options, step);
    const settled = options.dry ? [] : outcomes.filter(({ standing }) => standing);
    const dirty = settled.filter(({ target }) => state.pending.has(target)).map(({ target }) => target);
    return { outcomes, dirty, wakeUps: step.wakeUps(shard) };
  }

  async renewLease(shard: number, token: string, targets: readonly string[], ttl: number): Promise<void> {
    const state = this.#shard(shard);
    const now = this.#now();
    for (const target of targets) state.renewLease(target, token, now, now + ttl);
  }

  async releaseLease(shard: number, token: string, targets: readonly string[]): Promise<void> {
    const now = this.#now();
    const state = this.#shard(shard);
    for (const target of targets) if (state.tokenOn(target, now) === token) state.endLease(target);
  }

  async postpone(shard: number, targets: readonly string[], delay: number, token = ''): Promise<readonly WakeUp[]> {
    const step = this.#step();
    const state = this.#shard(shard);
    const standing = targets.filter((target) => token === '' || state.tokenOn(target, step.now) === token);
    postpone(state, standing, delay, step);
    return step.wakeUps(shard);
  }

  async read(
    shard: number,
    targets: readonly string[],
  ): Promise<{ readonly version: number; readonly held: readonly Held[] }> {
    const { pending, batches, version } = this.#shard(shard);
    const held = targets.map((target) => ({
      target,
      pending: new Map(pending.get(target)?.amounts),
      claims: [...batches.values()].flatMap(({ batch: { id, entries } }) =>
        entries
          .filter((entry) => entry.target === target)
          .map(({ amounts }) => ({ batch: id, amounts: new Map(amounts) })),
      ),
    }));
    return { version, held };
  }

  async status(shard: number): Promise<ShardStatus> {
    const { due, batches, intents, recalculations, barriers, failed } = this.#shard(shard);
    return {
      shard,
      dirty: due.size,
      oldestDue: earliest(due.values()),
      batches: batches.size,
      intents: intents.size,
      recalculations: recalculations.size,
      repairs: barriers.size,
      failed: [...failed].map(([target, reason]) => ({ target, reason })),
      now: this.#now(),
    };
  }

  async retryFailed(
    shard: number,
    targets: readonly string[] | null,
  ): Promise<{ readonly count: number; readonly wakeUps: readonly WakeUp[] }> {
    const step = this.#step();
    const state = this.#shard(shard);
    const retried = (targets ?? [...state.failed.keys()]).filter((target) => state.failed.delete(target));
    for (const target of retried) state.makeDue(target, windowStart(step.now, step.window), step);
    return { count: retried.length, wakeUps: step.wakeUps(shard) };
  }

  #step(): Step {
    return new Step(this.#now(), this.#window);
  }

  #shard(index: number): MemoryShard {
    const shard = this.#shards[index];
    if (shard === undefined)
      throw new RangeError(`shard ${index} does not exist: there are ${this.shards}, counted from 0`);
    return shard;
  }
}
