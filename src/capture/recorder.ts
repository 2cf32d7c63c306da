import { isAlike } from './alike';
import { contributionOf, waitOf } from '../counter/contribution';
import type { Contribution, Counter, Row, TargetKind } from '../counter/definition';
import type { Durability } from '../durability';
import type { CapturedDelta } from './captured-sums';
import { keylessTarget, keyText, targetId } from '../counter/target';
import type { OpenTransaction } from './open-transaction';
import type { TablePlan } from './plan';
import type { RowChange } from './returning';
import type { TableChanges } from './statement';

export interface RecorderOptions {
  /** How deltas are handed over when their counter does not say. */
  readonly durability: Durability;
  /** Milliseconds a delta may wait when its counter does not say. */
  readonly wait: number;
  /** Milliseconds until the recalculation after a write when the counter does not say. */
  readonly recalculationDelay: number;
  readonly onUnknownType: (counter: Counter, type: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Kinds whose rows the changes of a table may make, remove or give another key. */
export interface KeyedKinds {
  /** Of rows that did not exist before. */
  readonly made: readonly TargetKind[];
  /** Of all others. */
  readonly others: readonly TargetKind[];
  /** A row without a version before is new; otherwise it may be a changed one, whose versions are not paired. */
  readonly areNew: boolean;
}

/** Turns changed rows into deltas of the transaction that changed them. */
export class Recorder {
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** `keyedOf`: the kinds of target whose rows may have appeared, vanished or changed their key, per table. */
  record(
    transaction: OpenTransaction,
    tables: readonly TableChanges[],
    keyedOf: (plan: TablePlan) => KeyedKinds,
  ): void {
    transaction.keep(tables);
    for (const { plan, changes, moved = [], dated = [] } of tables) {
      const { made, others, areNew } = keyedOf(plan);
      let last: RowChange | null = null;
      let recorded: CapturedDelta[] = [];
      for (const change of changes) {
        for (const kind of change.before === null ? made : others) recordKey(transaction, kind, change, areNew);
        if (last !== null && isAlike(change.before, last.before) && isAlike(change.after, last.after)) {
          for (const delta of recorded) transaction.record(delta);
          continue;
        }
        recorded = [];
        for (const counter of plan.counters)
          for (const delta of this.#deltasOfChange(counter, change)) {
            transaction.record(delta);
            recorded.push(delta);
          }
        last = change;
      }
      for (const target of moved) transaction.heal(target);
      transaction.recheck(dated);
    }
  }

  /** What one counter makes of a row that was changed. */
  #deltasOfChange(counter: Counter, { before, after }: RowChange): CapturedDelta[] {
    const old = this.#contribution(counter, before);
    const now = this.#contribution(counter, after);
    if (
      old !== null &&
      now !== null &&
      old.target === now.target &&
      old.column === now.column &&
      old.amount === now.amount
    )
      return [];
    const deltas: CapturedDelta[] = [];
    if (old !== null && before !== null) deltas.push(this.#deltaOf(old, -old.amount, before));
    if (now !== null && after !== null) deltas.push(this.#deltaOf(now, now.amount, after));
    return deltas;
  }

  #contribution(counter: Counter, row: Row | null): Contribution | null {
    return row === null ? null : contributionOf(counter, row, this.#options.onUnknownType);
  }

  #deltaOf({ counter, target, column, touch }: Contribution, amount: bigint, row: Row): CapturedDelta {
    const { recalculation, batchSize } = counter;
    return {
      target,
      column: column.name,
      amount,
      touch: touch?.name ?? null,
      wait: waitOf(counter, row, this.#options.wait, this.#options.onError),
      batchSize: batchSize === null ? 0 : Number(BigInt(batchSize) * 10n ** BigInt(column.scale)),
      durability: counter.durability ?? this.#options.durability,
      recalculateIn: recalculation === false ? null : (recalculation.delay ?? this.#options.recalculationDelay),
    };
  }

  /**
   * What new rows add.
   *
   * @throws AmountError
   */
  deltasOf(counters: readonly Counter[], rows: readonly Row[]): CapturedDelta[] {
    let last: Row | null = null;
    let made: CapturedDelta[] = [];
    return rows.flatMap((row) => {
      if (last !== null && isAlike(row, last)) return made;
      last = row;
      made = this.contributionsOf(counters, [row]).map((one) => this.#deltaOf(one, one.amount, row));
      return made;
    });
  }

  /**
   * The same, but for how long it may wait.
   *
   * @throws AmountError
   */
  contributionsOf(counters: readonly Counter[], rows: readonly Row[]): Contribution[] {
    return rows.flatMap((row) => counters.flatMap((counter) => this.#contribution(counter, row) ?? []));
  }

  /** Every target that changed rows count for, before or after. */
  targetsOf(tables: readonly TableChanges[]): string[] {
    return tables.flatMap(({ plan, changes }) =>
      plan.counters.flatMap((counter) =>
        changes
          .flatMap(({ before, after }) => [this.#contribution(counter, before), this.#contribution(counter, after)])
          .flatMap((contribution) => contribution?.target ?? []),
      ),
    );
  }
}

/** A target that appeared, vanished or changed its key: nothing that is pending for its key may stay as it is. */
function recordKey(
  transaction: OpenTransaction,
  kind: TargetKind,
  { before, after }: RowChange,
  areNew: boolean,
): void {
  const old = before && targetOf(kind, before);
  const now = after && targetOf(kind, after);
  if (old === now && before !== null) return;
  if (old !== null) transaction.reset(old);
  if (now !== null) transaction.reset(now);
  // It has no sources any more, and no key by which a delta could be applied to it.
  else if (after !== null && (before !== null || !areNew)) transaction.reset(keylessTarget(kind.id));
}

function targetOf(kind: TargetKind, row: Row): string | null {
  return targetId(
    kind.id,
    kind.keys.map(({ name, sqlType }) => keyText(row[name], sqlType)),
  );
}
