import { byShard } from '../buffer/shard';
import type { Alarm, DeltaBuffer, Intent, TargetDelta } from '../buffer/buffer';
import type { Durability } from '../options';
import { LostTargets } from './lost-targets';
import type { OpenTransaction } from './open-transaction';

/** What the hand-off needs of the library around it. */
export interface HandOffOptions {
  readonly durability: Durability;
  /** The buffer, once the installation is known; rejects while our tables are missing. */
  readonly buffer: () => Promise<DeltaBuffer>;
  /** Adds alarms; never rejects. */
  readonly schedule: (alarms: readonly Alarm[]) => Promise<void>;
  /** A transaction id above those of all transactions open now, from the database. */
  readonly barrier: () => Promise<bigint>;
  /** How many targets whose delta could not be handed over are remembered until they can be recalculated. */
  readonly memoryQueue: number;
  /** The buffer went out of reach; called once until it recovers. */
  readonly onDegraded: (error: unknown) => void;
  /** The buffer answers again, and everything lost meanwhile is requested. */
  readonly onRecovered: () => void;
  readonly onError: (error: unknown) => void;
}

/** Intents of one transaction by shard, between announce and confirm; those whose announcement failed apart. */
interface Announced {
  readonly intents: ReadonlyMap<number, Intent>;
  readonly failed: ReadonlySet<number>;
}

const NONE: Announced = { intents: new Map(), failed: new Set() };

/**
 * Takes what a transaction captured to the buffer: announces it right before COMMIT, and afterwards confirms, discards,
 * or, when the outcome is unknown, leaves it to the sweep. Nothing after COMMIT throws or is awaited by the caller (I5).
 */
export class HandOff {
  readonly #options: HandOffOptions;
  readonly #announced = new WeakMap<OpenTransaction, Announced>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #lost: LostTargets;
  #degraded = false;

  constructor(options: HandOffOptions) {
    this.#options = options;
    this.#lost = new LostTargets({ ...options, onRecovered: () => this.#setDegraded(null) });
  }

  /**
   * Before COMMIT. In `guarded` it announces one intent per touched shard, concurrently. An announcement that fails or
   * times out does not fail the transaction: its targets are recalculated after it.
   *
   * @throws TablesMissingError, and whatever else keeps the buffer from being opened
   */
  async announce(transaction: OpenTransaction): Promise<void> {
    const deltas = transaction.deltas();
    if (deltas.length === 0 || transaction.id === null) return;
    const { id } = transaction;
    const buffer = await this.#options.buffer();
    const groups = byShard(deltas, ({ target }) => target, buffer.shards);
    const intents = new Map([...groups].map(([shard, group]) => [shard, { id, deltas: group }]));
    const failed = new Set<number>();
    this.#announced.set(transaction, { intents, failed });
    if (this.#options.durability === 'relaxed') return;
    let failure: unknown = null;
    const announce = (shard: number, intent: Intent): Promise<void> =>
      buffer.announce(shard, intent).catch((error: unknown) => {
        failed.add(shard);
        failure = error;
      });
    await Promise.all([...intents].map(([shard, intent]) => announce(shard, intent)));
    this.#setDegraded(failure);
  }

  /** After a successful COMMIT. */
  confirm(transaction: OpenTransaction): void {
    const { intents, failed } = this.#take(transaction);
    for (const [shard, intent] of intents) {
      // It may arrive yet, after a recalculation that has counted the delta already: to confirm it could double it. An
      // intent that is left is absorbed or swept.
      if (failed.has(shard)) this.#lost.add(shard, intent.deltas);
      else this.#run(this.#confirmShard(shard, intent));
    }
  }

  /** After a rollback: forgets what was announced. What fails here is swept later, and recalculated needlessly. */
  discard(transaction: OpenTransaction): void {
    if (this.#options.durability === 'relaxed') return;
    for (const [shard, intent] of this.#take(transaction).intents) {
      this.#run(
        this.#options
          .buffer()
          .then((buffer) => buffer.discard(shard, intent.id))
          .catch(() => undefined),
      );
    }
  }

  /** Requests the recalculation of targets whose deltas are committed, or may be, and cannot be handed over. */
  recalculate(deltas: readonly TargetDelta[]): void {
    if (deltas.length === 0) return;
    const request = async (): Promise<void> => {
      const { shards } = await this.#options.buffer();
      const groups = byShard(deltas, ({ target }) => target, shards);
      for (const [shard, group] of groups) this.#lost.add(shard, group);
    };
    this.#run(request());
  }

  /** The buffer was found out of reach elsewhere. */
  reportDegraded(error: unknown): void {
    this.#setDegraded(error);
  }

  /** Resolves when everything captured so far has reached the buffer. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await this.#lost.settled();
  }

  /** Waits for what is under way, then gives up on targets that still could not be handed over; returns those. */
  async close(): Promise<readonly string[]> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    return this.#lost.close();
  }

  async #confirmShard(shard: number, intent: Intent): Promise<void> {
    try {
      const buffer = await this.#options.buffer();
      await this.#requestHeals(buffer, shard, intent);
      if (this.#options.durability === 'relaxed') {
        await this.#options.schedule(await buffer.add(shard, intent));
        return;
      }
      const { found, alarms } = await buffer.confirm(shard, intent.id);
      // Gone: never announced, swept, or lost. It is committed, so a recalculation will see it; adding it could double.
      if (!found) this.#lost.add(shard, intent.deltas);
      await this.#options.schedule(alarms);
    } catch (error) {
      // The call may have run all the same, so the delta is never sent again: its targets are recalculated.
      this.#lost.add(shard, intent.deltas);
      this.#setDegraded(error);
    }
  }

  /** Before the confirm: a process that dies in between leaves the intent, whose sweep asks again. */
  async #requestHeals(buffer: DeltaBuffer, shard: number, { deltas }: Intent): Promise<void> {
    const targets = deltas.filter(({ heal }) => heal).map(({ target }) => target);
    if (targets.length === 0) return;
    const barrier = await this.#options.barrier();
    await this.#options.schedule(await buffer.request(shard, targets, { barrier, delay: 0 }));
  }

  #setDegraded(error: unknown): void {
    if (error !== null && !this.#degraded) {
      this.#degraded = true;
      this.#options.onDegraded(error);
    }
    if (error === null && this.#degraded && this.#lost.size === 0) {
      this.#degraded = false;
      this.#options.onRecovered();
    }
  }

  #take(transaction: OpenTransaction): Announced {
    const announced = this.#announced.get(transaction) ?? NONE;
    this.#announced.delete(transaction);
    return announced;
  }

  #run(work: Promise<void>): void {
    const tracked = work.catch(this.#options.onError).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }
}
