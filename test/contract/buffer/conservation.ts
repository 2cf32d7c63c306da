import { deepStrictEqual, strictEqual } from 'node:assert/strict';

import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';
import type { Batch, TargetDelta, Unapplied } from '../../../src/model/pending';
import { delta, DRY, intent, LATE, recount, row, STORES, USERS, LEASE } from './harness';
import { Amounts } from './ledger';
import type { Random } from './random';

const TARGETS = [row(1), row(2), row(3), row(1, STORES)];
const COLUMNS = ['posts', 'likes'];

/**
 * Random operations that move amounts and create none: what was announced is at every moment in an open intent,
 * pending, in a batch, applied, or discarded.
 */
export class Conservation {
  readonly #announced = new Amounts();
  readonly #gone = new Amounts();
  readonly #open = new Map<string, readonly TargetDelta[]>();
  readonly #claimed = new Map<string, Batch>();
  readonly #steps = [
    () => this.#announce(),
    () => this.#announce(),
    () => this.#confirm(),
    () => this.#confirm(),
    () => this.#discard(),
    () => this.#add(),
    () => this.#claim(),
    () => this.#acknowledge(),
    () => this.#takeOver(),
    () => this.#recalculate(),
    () => this.#buffer.retryFailed(0, this.#random.chance(0.5) ? null : [this.#random.pick(TARGETS)]),
  ];
  #transaction = 1;

  readonly #buffer: DeltaBuffer;
  readonly #random: Random;

  constructor(buffer: DeltaBuffer, random: Random) {
    this.#buffer = buffer;
    this.#random = random;
  }

  async step(): Promise<void> {
    await this.#random.pick(this.#steps)();
  }

  async check(): Promise<void> {
    const found = new Amounts();
    const { held } = await this.#buffer.read(0, TARGETS);
    for (const { target, pending, claims } of held) {
      found.add(target, pending);
      for (const { amounts } of claims) found.add(target, amounts);
    }
    for (const deltas of this.#open.values()) for (const { target, amounts } of deltas) found.add(target, amounts);
    for (const target of TARGETS)
      for (const column of COLUMNS) found.add(target, [[column, this.#gone.get(target, column)]]);
    deepStrictEqual(found.entries(), this.#announced.entries());
    const { intents, batches } = await this.#buffer.status(0);
    deepStrictEqual({ intents, batches }, { intents: this.#open.size, batches: this.#claimed.size });
  }

  #deltas(): TargetDelta[] {
    const random = this.#random;
    const targets = random.some(TARGETS);
    return targets.map((target) =>
      delta(target, Object.fromEntries(random.some(COLUMNS).map((column) => [column, random.below(11) - 5])), {
        wait: random.pick([0, 10, 60_000]),
        flushAt: random.pick([0, 0, 7]),
        touches: random.chance(0.2) ? ['t'] : [],
        recalculateIn: random.pick([null, 0, 60_000]),
      }),
    );
  }

  #count(deltas: readonly TargetDelta[], into: Amounts): void {
    for (const { target, amounts } of deltas) into.add(target, amounts);
  }

  async #announce(): Promise<void> {
    const [id, deltas] = [String(this.#transaction++), this.#deltas()];
    this.#count(deltas, this.#announced);
    this.#open.set(id, deltas);
    await this.#buffer.announce(0, intent(id, ...deltas));
    if (this.#random.chance(0.1)) await this.#buffer.announce(0, intent(id, ...deltas));
  }

  async #confirm(): Promise<void> {
    const id = String(this.#random.below(this.#transaction));
    const { found } = await this.#buffer.confirm(0, id);
    strictEqual(found, this.#open.delete(id));
  }

  async #discard(): Promise<void> {
    const id = String(this.#random.below(this.#transaction));
    this.#count(this.#open.get(id) ?? [], this.#gone);
    this.#open.delete(id);
    await this.#buffer.discard(0, id);
  }

  async #add(): Promise<void> {
    const deltas = this.#deltas();
    this.#count(deltas, this.#announced);
    await this.#buffer.add(0, intent('unannounced', ...deltas));
  }

  async #claim(): Promise<void> {
    const random = this.#random;
    const scope = random.pick([
      { select: 'due' },
      { select: 'dirty', tableIds: random.pick([null, [USERS], [STORES], [USERS, STORES]]) },
      { select: 'targets', targets: random.some(TARGETS) },
    ] as const);
    const { batch } = await this.#buffer.claim(0, scope, 1 + random.below(4));
    if (batch !== null) this.#claimed.set(batch.id, batch);
  }

  async #acknowledge(): Promise<void> {
    if (this.#claimed.size === 0) return;
    const batch = this.#random.pick([...this.#claimed.values()]);
    const unapplied = this.#random.some(batch.entries).map(({ target }): Unapplied => {
      if (this.#random.chance(0.3)) return { target, failed: 'out of range' };
      const columns = this.#random.chance(0.3) ? { columns: this.#random.some([...COLUMNS, 't']) } : {};
      return { target, backoff: this.#random.pick([0, 60_000]), ...columns };
    });
    const kept = new Map(unapplied.map((left) => [left.target, 'columns' in left ? left.columns : COLUMNS]));
    for (const { target, amounts } of batch.entries) {
      const left = kept.get(target) ?? [];
      this.#gone.add(
        target,
        [...amounts].filter(([column]) => !left.includes(column)),
      );
    }
    this.#claimed.delete(batch.id);
    strictEqual((await this.#buffer.acknowledge(0, batch.id, unapplied)).found, true);
    if (this.#random.chance(0.3)) strictEqual((await this.#buffer.acknowledge(0, batch.id, unapplied)).found, false);
  }

  async #takeOver(): Promise<void> {
    for (const batch of await this.#buffer.takeOver(0, 0, 2)) deepStrictEqual(batch, this.#claimed.get(batch.id));
  }

  /** Nothing that a recalculation does moves an amount, as long as it is dry. */
  async #recalculate(): Promise<void> {
    const [buffer, random] = [this.#buffer, this.#random];
    const targets = random.some(TARGETS);
    const token = random.pick(['one', 'two']);
    await random.pick([
      () => buffer.acquireLease(0, token, targets, LEASE),
      () => buffer.releaseLease(0, token, targets),
      () => buffer.requestRepair(0, targets, random.pick([0n, 5n])),
      () => buffer.postpone(0, targets, random.pick([0, 60_000])),
      () =>
        buffer.finalize(
          0,
          token,
          LATE,
          targets.map((target) => recount(target, random.pick([null, { posts: 9 }]), 0)),
          DRY,
        ),
    ])();
  }
}
