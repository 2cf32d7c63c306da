import { isAlike } from './alike';
import { contributionOf, reachedBy, waitOf } from '../model/contribution';
import type { Contribution, Counter, Row, TargetTable } from '../model/definition';
import type { Mode } from '../model/mode';
import { CapturedChanges, type CapturedDelta } from './transaction/captured-changes';
import { keylessTarget, keyText, targetId } from '../model/target';
import type { TablePlan } from './plan';
import type { RowChange } from './returning';
import type { TableChanges } from './statement';

export interface DeltaOptions {
  /** How deltas are published when their counter does not say. */
  readonly mode: Mode;
  /** Milliseconds a delta may wait when its counter does not say. */
  readonly wait: number;
  /** Milliseconds until the recalculation after a write when the counter does not say. */
  readonly recalculationDelay: number;
  readonly onUnknownType: (counter: Counter, type: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Target tables whose rows the changes of a table may make, remove or give another key. */
export interface KeyedTables {
  /** Of rows that did not exist before. */
  readonly made: readonly TargetTable[];
  /** Of all others. */
  readonly others: readonly TargetTable[];
  /** A row without a version before is new; otherwise it may be a changed one, whose versions are not paired. */
  readonly areNew: boolean;
}

/** For changes that make no target, and take none away. */
export const NO_KEYS = (): KeyedTables => ({ made: [], others: [], areNew: false });

/** What changed rows add to counters. */
export class DeltaCalculator {
  readonly #options: DeltaOptions;

  constructor(options: DeltaOptions) {
    this.#options = options;
  }

  /**
   * What changes of rows come to. A new version that cannot be counted, where the old one could, is a refusal; all others are
   * counted.
   *
   * @param keyedOf the target tables whose rows may have appeared, vanished or changed their key
   * @param isUndone the changes are taken back: an old version stands where a new one does otherwise
   */
  deltasOf(
    tables: readonly TableChanges[],
    keyedOf: (plan: TablePlan) => KeyedTables,
    isUndone = false,
  ): CapturedChanges {
    const captured = new CapturedChanges();
    for (const { plan, changes, moved = [], dated = [] } of tables) {
      const { made, others, areNew } = keyedOf(plan);
      let last: RowChange | null = null;
      let counted: readonly CapturedDelta[] = [];
      for (const change of changes) {
        for (const targetTable of change.before === null ? made : others) addKey(captured, targetTable, change, areNew);
        if (last === null || !isAlike(change.before, last.before) || !isAlike(change.after, last.after))
          counted = plan.counters.flatMap((counter) => this.#deltasOfChange(counter, change, isUndone, captured));
        for (const delta of counted) captured.add(delta);
        last = change;
      }
      for (const target of moved) captured.repair(target);
      for (const end of dated) captured.dated.push(end);
    }
    return captured;
  }

  /**
   * What one counter makes of a row that was changed. A version that cannot be counted, and is not of this write's making,
   * has what it may have counted for repaired: such a row must not be stuck where it is.
   */
  #deltasOfChange(
    counter: Counter,
    { before, after }: RowChange,
    isUndone: boolean,
    captured: CapturedChanges,
  ): CapturedDelta[] {
    const old = this.#counted(counter, before);
    const now = this.#counted(counter, after);
    if (now instanceof Uncounted && !isUndone && !now.isAs(old)) captured.refuse(now.error as Error);
    for (const version of [old, now])
      if (version instanceof Uncounted && version.target !== null) captured.repair(version.target);
    const minus = old instanceof Uncounted ? null : old;
    const plus = now instanceof Uncounted ? null : now;
    if (
      minus !== null &&
      plus !== null &&
      minus.target === plus.target &&
      minus.column === plus.column &&
      minus.amount === plus.amount
    )
      return [];
    const deltas: CapturedDelta[] = [];
    if (minus !== null && before !== null) deltas.push(this.#deltaOf(minus, -minus.amount, before));
    if (plus !== null && after !== null) deltas.push(this.#deltaOf(plus, plus.amount, after));
    return deltas;
  }

  #contribution(counter: Counter, row: Row | null): Contribution | null {
    return row === null ? null : contributionOf(counter, row, this.#options.onUnknownType);
  }

  #counted(counter: Counter, row: Row | null): Contribution | Uncounted | null {
    try {
      return this.#contribution(counter, row);
    } catch (error) {
      return row === null ? null : new Uncounted(error, reachedBy(counter, row)?.target ?? null);
    }
  }

  #deltaOf({ counter, target, column, touch }: Contribution, amount: bigint, row: Row): CapturedDelta {
    const { recalculation, flushAt } = counter;
    return {
      target,
      column: column.name,
      amount,
      touch: touch?.name ?? null,
      wait: waitOf(counter, row, this.#options.wait, this.#options.onError),
      flushAt: flushAt === null ? 0 : Number(BigInt(flushAt) * 10n ** BigInt(column.scale)),
      mode: counter.mode ?? this.#options.mode,
      recalculateIn: recalculation === false ? null : (recalculation.delay ?? this.#options.recalculationDelay),
    };
  }

  /**
   * What new rows add, but for how long it may wait.
   *
   * @throws AmountError
   */
  contributionsOf(counters: readonly Counter[], rows: readonly Row[]): Contribution[] {
    return rows.flatMap((row) => counters.flatMap((counter) => this.#contribution(counter, row) ?? []));
  }

  /** Every target that changed rows count for, or may count for, before or after. */
  targetsOf(tables: readonly TableChanges[]): string[] {
    return tables.flatMap(({ plan, changes }) =>
      plan.counters.flatMap((counter) =>
        changes
          .flatMap(({ before, after }) => [this.#counted(counter, before), this.#counted(counter, after)])
          .flatMap((counted) => counted?.target ?? []),
      ),
    );
  }
}

/** A version of a row that cannot be counted. */
class Uncounted {
  constructor(
    readonly error: unknown,
    /** What it may count for; `null` when that is nothing in any case. */
    readonly target: string | null,
  ) {}

  /** Whether another version cannot be counted either, for the same reason: the write has not made it so. */
  isAs(other: Contribution | Uncounted | null): boolean {
    if (this.target === null) return true;
    return other instanceof Uncounted && messageOf(other.error) === messageOf(this.error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A target that appeared, vanished or changed its key: nothing that is pending for its key may stay as it is. */
function addKey(
  captured: CapturedChanges,
  targetTable: TargetTable,
  { before, after }: RowChange,
  areNew: boolean,
): void {
  const old = before && targetOf(targetTable, before);
  const now = after && targetOf(targetTable, after);
  if (old === now && before !== null) return;
  if (old !== null) captured.replace(old);
  if (now !== null) captured.replace(now);
  // It has no sources any more, and no key by which a delta could be applied to it.
  else if (after !== null && (before !== null || !areNew)) captured.replace(keylessTarget(targetTable.id));
}

function targetOf(targetTable: TargetTable, row: Row): string | null {
  return targetId(
    targetTable.id,
    targetTable.keys.map(({ name, sqlType }) => keyText(row[name], sqlType)),
  );
}
