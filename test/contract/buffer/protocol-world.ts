import { deepStrictEqual } from 'node:assert/strict';

import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';
import type { Batch, Snapshot, TargetDelta, Unapplied } from '../../../src/model/pending';
import { delta, intent, row } from './harness';
import { Amounts } from './ledger';
import type { Random } from './random';

const TARGETS = [row(1), row(2)];
const COLUMNS = ['posts', 'likes'];

/** A transaction that changes the truth when it commits. */
interface Writer {
  readonly id: number;
  readonly deltas: readonly TargetDelta[];
  at: 'announce' | 'commit' | 'confirm' | 'discard';
}

/** A worker that holds a batch: it claimed it, or took it over while somebody else may still be at it. */
interface Worker {
  readonly batch: Batch;
  at: 'apply' | 'acknowledge';
}

interface Recalculation {
  readonly token: string;
  readonly targets: readonly string[];
  read: { readonly snapshot: Snapshot; readonly missing: ReadonlyMap<string, ReadonlyMap<string, bigint>> } | null;
}

/**
 * The protocol of `protocol.cjs` for several targets and columns, with a buffer under test and an imagined database.
 * One step is one call of the buffer, one SQL transaction, or one process dying.
 */
export class ProtocolWorld {
  readonly #truth = new Amounts();
  readonly #column = new Amounts();
  /** Batch id → what it did not apply. */
  readonly #ledger = new Map<string, readonly Unapplied[]>();
  readonly #buffer: DeltaBuffer;
  readonly #random: Random;
  #writers: Writer[] = [];
  #workers: Worker[] = [];
  #recalculations: Recalculation[] = [];
  #transaction = 1;
  #token = 1;
  /** Whether the sweep takes intents of writers that are merely slow. */
  readonly #early: boolean;
  /** How eager writers, workers and recalculations are: in some lives one of them hardly moves. */
  readonly #pace: readonly number[];
  readonly #mortality: number;
  /** Whether there are recalculations that nobody asked for. */
  readonly #eager: boolean;

  constructor(buffer: DeltaBuffer, random: Random) {
    this.#buffer = buffer;
    this.#random = random;
    this.#early = random.chance(0.5);
    this.#pace = [1, 2, 3].map(() => random.pick([0.03, 0.3, 1]));
    this.#mortality = random.pick([0, 0.03, 0.1]);
    this.#eager = random.chance(0.5);
  }

  async step(): Promise<void> {
    const random = this.#random;
    const start = random.pick([
      () => this.#begin(),
      () => this.#begin(),
      () => this.#claim(),
      () => this.#claim(),
      () => this.#takeOver(),
      () => this.#acquire(this.#eager ? random.some(TARGETS) : undefined),
      () => this.#acquire(),
      () => (this.#early ? this.#sweep(2) : this.#begin()),
    ]);
    if (random.chance(this.#mortality)) return this.#die();
    if (random.chance(0.35) || !(await this.#proceed())) await start();
  }

  /** Lets everybody finish, and recalculates what was asked for and nothing else, until nothing is left to do. */
  async settle(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      while (await this.#proceed());
      await this.#sweep(1_000);
      await this.#buffer.retryFailed(0, null);
      await this.#takeOver();
      await this.#claim();
      await this.#acquire();
      if (await this.#quiet()) return;
    }
    throw new Error(`still busy: ${JSON.stringify(await this.#buffer.status(0))}`);
  }

  check(): void {
    deepStrictEqual(this.#column.entries(), this.#truth.entries());
  }

  async #quiet(): Promise<boolean> {
    const { dirty, batches, intents, failed } = await this.#buffer.status(0);
    const requested = await this.#buffer.dueRecalculations(0, 1);
    const alive = this.#workers.length + this.#recalculations.length;
    return dirty + batches + intents + failed.length + requested.length + alive === 0;
  }

  /** One step of somebody who is at something; false when nobody is. */
  async #proceed(): Promise<boolean> {
    const actors = [
      this.#writers.map((writer) => () => this.#write(writer)),
      this.#workers.map((worker) => () => this.#work(worker)),
      this.#recalculations.map((recalculation) => () => this.#recalculate(recalculation)),
    ];
    const paced = actors.flatMap((steps, i) => (this.#random.chance(this.#pace[i] ?? 1) ? steps : []));
    const steps = paced.length > 0 ? paced : actors.flat();
    if (steps.length === 0) return false;
    await this.#random.pick(steps)();
    return true;
  }

  // A transaction

  async #begin(): Promise<void> {
    const random = this.#random;
    const amounts = (): Record<string, number> =>
      Object.fromEntries(COLUMNS.map((column) => [column, random.below(9) - 3]));
    const options = { recalculateIn: random.pick([null, 60_000]), touches: random.chance(0.1) ? ['t'] : [] };
    const targets = TARGETS.filter(() => random.chance(0.6));
    this.#writers.push({
      id: this.#transaction++,
      deltas: targets.map((target) => delta(target, amounts(), options)),
      at: 'announce',
    });
  }

  async #write(writer: Writer): Promise<void> {
    const id = String(writer.id);
    switch (writer.at) {
      case 'announce':
        await this.#buffer.announce(0, intent(id, ...writer.deltas));
        writer.at = 'commit';
        return;
      case 'commit':
        if (this.#random.chance(0.2)) return void (writer.at = 'discard');
        for (const { target, amounts } of writer.deltas) this.#truth.add(target, amounts);
        writer.at = 'confirm';
        return;
      case 'confirm':
        // Who dies here leaves a committed intent for the sweep.
        if (!this.#random.chance(this.#mortality)) await this.#confirm(writer, id);
        return this.#end(writer);
      case 'discard':
        await this.#buffer.discard(0, id);
        return this.#end(writer);
    }
  }

  async #confirm({ deltas }: Writer, id: string): Promise<void> {
    const { found } = await this.#buffer.confirm(0, id);
    const targets = deltas.map(({ target }) => target);
    if (!found) await this.#buffer.requestRepair(0, targets, 0n);
  }

  #end(writer: Writer): void {
    this.#writers = this.#writers.filter((other) => other !== writer);
  }

  /** Transactions of the database that have neither committed nor rolled back. */
  #openTransactions(): bigint[] {
    return this.#writers.filter(({ at }) => at === 'announce' || at === 'commit').map(({ id }) => BigInt(id));
  }

  #snapshot(): Snapshot {
    const [open, xmax] = [this.#openTransactions(), BigInt(this.#transaction)];
    return { xmin: open.reduce((least, id) => (id < least ? id : least), xmax), xmax, inProgress: open };
  }

  /** Drops intents of writers that died, and of some that are merely slow. */
  async #sweep(limit: number): Promise<void> {
    const stale = await this.#buffer.staleIntents(0, 0, limit);
    await this.#buffer.sweepIntents(0, stale, BigInt(this.#transaction - 1));
  }

  // Claim, apply, acknowledge

  async #claim(): Promise<void> {
    const { batch } = await this.#buffer.claim(0, { select: 'dirty', tableIds: null }, 1 + this.#random.below(3));
    if (batch !== null) this.#workers.push({ batch, at: 'apply' });
  }

  async #takeOver(): Promise<void> {
    for (const batch of await this.#buffer.takeOver(0, 0, 2)) this.#workers.push({ batch, at: 'apply' });
  }

  async #work(worker: Worker): Promise<void> {
    const { batch } = worker;
    if (worker.at === 'apply') {
      if (!this.#ledger.has(batch.id)) this.#apply(batch);
      worker.at = 'acknowledge';
      return;
    }
    await this.#buffer.acknowledge(0, batch.id, this.#ledger.get(batch.id) ?? []);
    this.#workers = this.#workers.filter((other) => other !== worker);
  }

  #apply(batch: Batch): void {
    const unapplied: Unapplied[] = [];
    for (const { target, amounts } of batch.entries) {
      if (this.#random.chance(0.8)) this.#column.add(target, amounts);
      else unapplied.push(this.#random.chance(0.5) ? { target, backoff: 0 } : { target, failed: 'out of range' });
    }
    this.#ledger.set(batch.id, unapplied);
  }

  // Lease, read, finalize

  /** Leases some targets, or those whose recalculation was asked for. */
  async #acquire(some?: readonly string[]): Promise<void> {
    const targets = some ?? (await this.#buffer.dueRecalculations(0, 3)).map(({ target }) => target);
    const token = `token-${this.#token++}`;
    const outcomes = await this.#buffer.acquireLease(0, token, targets, {
      ttl: 60_000,
      horizon: this.#snapshot().xmin,
    });
    const acquired = targets.filter((_, i) => outcomes[i] === 'acquired');
    if (acquired.length > 0) this.#recalculations.push({ token, targets: acquired, read: null });
  }

  async #recalculate(recalculation: Recalculation): Promise<void> {
    const { token, targets, read } = recalculation;
    if (read === null) return this.#read(recalculation);
    const recounts = targets.map((target) => ({
      target,
      missing: read.missing.get(target) ?? new Map(),
      rearmIn: this.#random.pick([null, 0]),
    }));
    await this.#buffer.finalize(0, token, read.snapshot, recounts, { consume: true, dry: this.#random.chance(0.1) });
    this.#recalculations = this.#recalculations.filter((other) => other !== recalculation);
  }

  #read(recalculation: Recalculation): void {
    const lacking = (target: string) =>
      new Map(
        COLUMNS.map((column) => [column, this.#truth.get(target, column) - this.#column.get(target, column)] as const),
      );
    recalculation.read = {
      snapshot: this.#snapshot(),
      missing: new Map(recalculation.targets.map((target) => [target, lacking(target)])),
    };
  }

  /** A process dies: its transaction is rolled back, its batch stays claimed, its lease expires. */
  async #die(): Promise<void> {
    const [writer, worker, recalculation] = [this.#writers, this.#workers, this.#recalculations].map(
      (list) => list[this.#random.below(list.length)],
    ) as [Writer?, Worker?, Recalculation?];
    const victim = this.#random.below(3);
    if (victim === 0) this.#writers = this.#writers.filter((other) => other !== writer);
    if (victim === 1) this.#workers = this.#workers.filter((other) => other !== worker);
    if (victim === 2 && recalculation !== undefined) {
      await this.#buffer.releaseLease(0, recalculation.token, recalculation.targets);
      this.#recalculations = this.#recalculations.filter((other) => other !== recalculation);
    }
  }
}
