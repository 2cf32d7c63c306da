import { setTimeout as delay } from 'node:timers/promises';

import type { QueryRunner } from 'typeorm';

import type { Intent } from '../engines/buffered/buffer';
import type { WakeUp, TargetDelta } from '../model/pending';
import { byShard } from '../model/shard';
import { CounterCacheError } from '../errors';
import { Outage } from '../outage';
import type { OutboxDelta } from '../dialects/postgres/outbox/write-outbox';
import type { TablePaths } from '../dialects/postgres/installation/tables';
import { withTimeout } from '../time-limit';
import { BufferHealth } from './buffer-health';
import { Discards } from './discards';
import { type Destination, Publication } from './publication';
import { LostTargets } from './lost-targets';
import type { Publisher } from '../capture/transaction/publisher';
import type { OpenTransaction } from '../capture/transaction/open-transaction';
import { repairRowOf } from '../capture/inline-outbox/outbox-rows';
import { Slot } from '../model/slot';
import { InFlight } from './in-flight';

/** What the publisher needs of the library around it. */
export interface DeltaPublisherOptions {
  /** Resolves once the installation is open; rejects while our tables are missing. */
  readonly open: () => Promise<Destination>;
  /** The installation that is open; `null` while it is being opened. */
  readonly current: () => Destination | null;
  /** The one that was opened last; `null` before the first. */
  readonly last: () => Destination | null;
  /** Shards of every installation. */
  readonly shards: number;
  /** Due times in the outbox are rounded up to multiples of it, ms. */
  readonly window: number;
  /** Writes rows to the outbox in a transaction of our own. */
  readonly writeApart: (tables: TablePaths, rows: readonly OutboxDelta[]) => Promise<void>;
  /** Receives targets whose recalculation can be requested nowhere. */
  readonly onForgotten: (targets: readonly string[]) => void;
  /** A transaction id above those of all transactions open now, from the database. */
  readonly barrier: () => Promise<bigint>;
  /** How many targets whose delta could not be published are remembered until they can be recalculated. */
  readonly maxPendingRepairs: number;
  /** The buffer went out of reach; called once until it recovers. */
  readonly onDegraded: (error: unknown) => void;
  /** The buffer answers again, and everything lost meanwhile is requested. */
  readonly onRecovered: () => void;
  readonly onError: (error: unknown) => void;
}

/** Failures in the background that follow one another within this time are of one outage, ms. */
const OUTAGE = 30_000;

/** How long closing waits for a buffer, or a database, that does not answer, ms. */
const CLOSE_LIMIT = 5_000;

/** No transaction has this id: to announce it asks whether the buffer takes anything, and it is taken back at once. */
const NO_TRANSACTION = '0';

/**
 * Takes what a transaction captured to where it waits, right before COMMIT, and afterwards confirms, discards, or, when
 * the outcome is unknown, leaves it to the sweep. Nothing after COMMIT throws or is awaited by the caller (I5).
 */
export class DeltaPublisher implements Publisher {
  readonly #options: DeltaPublisherOptions;
  readonly #publications = new Slot<OpenTransaction, Publication>();
  readonly #inFlight = new InFlight();
  readonly #lost: LostTargets;
  readonly #health: BufferHealth;
  readonly #discards = new Discards();
  readonly #outage: Outage;
  /** Nothing new goes to the buffer. */
  #isDiverted = false;
  /** The buffer is not to be called any more. */
  #isClosed = false;
  /** Transactions whose end is still to be reported to the buffer. */
  #unended = 0;

  constructor(options: DeltaPublisherOptions) {
    this.#options = options;
    this.#outage = new Outage(options.onError, { quiet: OUTAGE });
    this.#lost = new LostTargets({
      ...options,
      destination: () => this.#destination(),
      onRecovered: () => this.#health.review(),
    });
    this.#health = new BufferHealth({
      ...options,
      probe: () => this.#probe(),
      isBehind: () => this.#lost.size > 0,
    });
  }

  /**
   * Before COMMIT. `buffered` deltas are announced, one intent per touched shard; those of a shard that fails or times out
   * are written to the outbox instead, through the transaction's own query runner, as those of `outbox` are.
   *
   * @throws TablesMissingError, and all else that keeps the buffer from being opened or the outbox from being written;
   * CounterCacheError `CLOSED` when that was not opened before {@link divert}
   */
  async prepare(transaction: OpenTransaction, runner: QueryRunner): Promise<void> {
    const sums = transaction.sums();
    const known = this.#publications.get(transaction);
    const isEmpty = sums.buffered.length + sums.outbox.length === 0;
    if (transaction.id === null || (isEmpty && known === undefined)) return;
    const publication = known?.id === transaction.id ? known : await this.#newPublication(transaction.id, runner);
    if (known !== undefined && known !== publication) this.#stopAwaiting(known);
    this.#publications.set(transaction, publication);
    if (!publication.awaitsEnd) this.#unended += 1;
    publication.awaitsEnd = true;
    // What is announced so far is not confirmed then.
    const diverted = { buffered: [], outbox: [...sums.outbox, ...sums.buffered] };
    try {
      await publication.prepare(this.#isDiverted ? diverted : sums);
    } finally {
      if (!publication.needsBuffer) this.#stopAwaiting(publication);
    }
  }

  async #newPublication(id: string, runner: QueryRunner): Promise<Publication> {
    const destination = this.#isDiverted ? this.#lastDestination() : await this.#destination();
    return new Publication(id, { destination, health: this.#health, window: this.#options.window }, runner);
  }

  /**
   * From now on deltas go to the outbox, in the transactions that make them: the buffer is about to be closed, and nothing is
   * to be sent to it after a COMMIT.
   */
  divert(): void {
    this.#isDiverted = true;
  }

  /** Resolves when every transaction that is published to the buffer is over, or after `limit` ms. */
  async ended(limit: number): Promise<void> {
    const end = performance.now() + limit;
    while (this.#unended > 0 && performance.now() < end) await delay(5);
  }

  /** Targets that wait in this process until a recalculation of them can be requested. */
  get lost(): number {
    return this.#lost.size;
  }

  /** After a successful COMMIT. */
  confirm(transaction: OpenTransaction): void {
    const publication = this.#take(transaction);
    if (publication === undefined) return;
    const { id, announced, lost, orphaned, wakeUps, destination } = publication;
    // Nothing more is sent to a closed buffer: what was announced is swept, and its targets are recounted.
    for (const [shard, intent] of announced) {
      if (!this.#isClosed) this.#run(this.#confirmShard(destination, shard, intent));
      else if (this.#hasLeft(destination)) this.#lose(shard, intent.deltas);
    }
    for (const [shard, { deltas }] of lost) this.#lose(shard, deltas);
    // It may arrive yet, after what it holds was counted another way: never confirmed, it would be swept and recounted.
    for (const shard of this.#isClosed ? [] : orphaned) this.#run(this.#discards.send(destination.buffer, shard, id));
    this.wake(wakeUps);
  }

  /** After a rollback: forgets what was announced, once the buffer answers. */
  discard(transaction: OpenTransaction): void {
    const publication = this.#take(transaction);
    if (publication === undefined || this.#isClosed) return;
    const { id, tried, destination } = publication;
    for (const shard of tried) this.#run(this.#discards.send(destination.buffer, shard, id));
  }

  /**
   * When the outcome of COMMIT is unknown: what was announced is left to the sweep; what is known here only is
   * recounted, once the transaction is over.
   */
  leave(transaction: OpenTransaction): void {
    const publication = this.#take(transaction);
    if (publication === undefined) return;
    const { announced, lost, destination } = publication;
    for (const [shard, { deltas }] of [...lost, ...(this.#hasLeft(destination) ? announced : [])])
      this.#lose(
        shard,
        deltas.map(({ target }) => ({ target, repair: true })),
      );
  }

  /** Sets wake-ups for what is in the outbox. */
  wake(wakeUps: readonly WakeUp[]): void {
    // Workers look for themselves, only later.
    if (wakeUps.length > 0 && !this.#isClosed) this.#run(this.#wake(wakeUps));
  }

  /** Requests the recalculation of targets whose deltas are committed, or may be, and cannot be published. */
  recalculate(deltas: readonly Pick<TargetDelta, 'target' | 'repair'>[]): void {
    if (deltas.length === 0) return;
    if (this.#isDiverted) {
      this.#run(this.#repairApart(deltas.map(({ target }) => target)));
      return;
    }
    for (const [shard, group] of byShard(deltas, ({ target }) => target, this.#options.shards))
      this.#lose(shard, group);
  }

  /** The buffer was found out of reach elsewhere. */
  reportDegraded(error: unknown): void {
    this.#health.failed(error);
  }

  /** Resolves when everything captured so far has reached the buffer. */
  async settled(): Promise<void> {
    await this.#inFlight.over();
    await this.#lost.settled();
  }

  /** Asks once for what could not be published; what fails again is asked for later. */
  requestLost(): Promise<void> {
    return this.#lost.attempt();
  }

  /** Resolves when what this process has committed by now has reached the buffer; what is committed meanwhile is not waited for. */
  published(): Promise<void> {
    return this.#inFlight.passed();
  }

  /**
   * Waits 16 s at most: 5 s for what is under way, 5 s for a last request of lost targets, 1 s for discards, 5 s for the
   * outbox. Recalculations that the buffer does not take are asked for in the outbox, as is all that transactions publish
   * afterwards.
   */
  async close(): Promise<void> {
    this.divert();
    await withTimeout(this.#inFlight.passed(), CLOSE_LIMIT, undefined);
    this.#isClosed = true;
    const left = await this.#lost.close();
    await this.#discards.close();
    this.#health.close();
    if (left.length > 0) this.#run(this.#repairApart(left));
    await withTimeout(this.#inFlight.passed(), CLOSE_LIMIT, undefined);
  }

  /**
   * Whether this process works at another installation by now, or opens one: what is in this one may be applied by no process.
   * What was confirmed before that is recounted there (docs/protocol.md), but a target that its transaction has made may have
   * been listed too early.
   */
  #hasLeft({ buffer }: Destination): boolean {
    return this.#options.current()?.buffer !== buffer;
  }

  async #destination(): Promise<Destination> {
    return this.#options.current() ?? (await this.#options.open());
  }

  /** For diverted deltas: nothing is opened any more. */
  #lastDestination(): Destination {
    const last = this.#options.last();
    if (last === null) throw closed();
    return last;
  }

  /** Asks for repairs in the outbox, where no transaction of the caller's is left that could. */
  async #repairApart(targets: readonly string[]): Promise<void> {
    try {
      const rows = [...new Set(targets)].map((target) => repairRowOf(target, this.#options.shards));
      await this.#options.writeApart(this.#lastDestination().tables, rows);
    } catch {
      this.#options.onForgotten(targets);
    }
  }

  /** As what failed: a Redis whose memory is full answers all but what adds to it. */
  async #probe(): Promise<void> {
    const { buffer } = await this.#destination();
    try {
      await buffer.announce(0, { id: NO_TRANSACTION, deltas: [] });
    } finally {
      await this.#discards.send(buffer, 0, NO_TRANSACTION);
    }
  }

  async #confirmShard(destination: Destination, shard: number, intent: Intent): Promise<void> {
    const { deltas } = intent;
    const { buffer, schedule } = destination;
    try {
      await this.#requestRepairs(destination, shard, intent);
      const { found, wakeUps } = await buffer.confirm(shard, intent.id);
      // Gone: never announced, swept, or lost. It is committed, so a recalculation will see it; adding it could double.
      if (!found || this.#hasLeft(destination)) this.#lose(shard, deltas);
      if (wakeUps.length > 0) await schedule(wakeUps);
    } catch (error) {
      // The call may have run all the same, so the delta is never sent again: its targets are recalculated.
      this.#lose(shard, deltas);
      this.#health.failed(error);
    }
  }

  async #wake(wakeUps: readonly WakeUp[]): Promise<void> {
    await (await this.#destination()).schedule(wakeUps);
  }

  /** Before the confirm: a process that dies in between leaves the intent, whose sweep asks again. */
  async #requestRepairs({ buffer, schedule }: Destination, shard: number, { deltas }: Intent): Promise<void> {
    const targets = deltas.filter(({ repair }) => repair).map(({ target }) => target);
    if (targets.length === 0) return;
    const barrier = await this.#options.barrier();
    await schedule(await buffer.requestRepair(shard, targets, barrier));
  }

  #take(transaction: OpenTransaction): Publication | undefined {
    const publication = this.#publications.get(transaction);
    this.#publications.set(transaction, undefined);
    if (publication !== undefined) this.#stopAwaiting(publication);
    return publication;
  }

  #stopAwaiting(publication: Publication): void {
    if (publication.awaitsEnd) this.#unended -= 1;
    publication.awaitsEnd = false;
  }

  #lose(shard: number, deltas: readonly Pick<TargetDelta, 'target' | 'repair'>[]): void {
    if (this.#isClosed) this.#run(this.#repairApart(deltas.map(({ target }) => target)));
    else this.#lost.add(shard, deltas);
  }

  #run(work: Promise<void>): void {
    this.#inFlight.add(work.catch((error: unknown) => this.#outage.failed(error)));
  }
}

function closed(): CounterCacheError {
  const reason = 'counters were closed before they could read their tables: a counted write would be lost';
  return new CounterCacheError('CLOSED', `${reason}. Attach counters again, or destroy the DataSource`);
}
