import type { TargetDelta } from '../../model/pending';
import type { Mode } from '../../model/mode';

/** One captured change of one column of one target. */
export interface CapturedDelta {
  readonly target: string;
  readonly column: string;
  readonly amount: bigint;
  readonly touch: string | null;
  readonly wait: number;
  readonly flushAt: number;
  readonly recalculateIn: number | null;
  readonly mode: Mode;
}

/** The sums of a transaction, by how they are published. */
export type CapturedSums = Readonly<Record<Mode, TargetDelta[]>>;

/** What was captured in a part of a transaction. */
export interface Captured {
  readonly deltas: readonly CapturedDelta[];
  /** Targets that appeared, vanished or changed their key. */
  readonly resets: ReadonlySet<string>;
  /** Targets whose sources changed in ways that transactions at the same time cannot see. */
  readonly heals: ReadonlySet<string>;
}

/**
 * The sum per target; targets whose every amount is zero, and that nothing else is asked of, are left out. What is asked
 * of a whole target is published by `mode`.
 */
export function sumUp(parts: readonly Captured[], mode: Mode): CapturedSums {
  const sums = { buffered: new Map(), outbox: new Map() } satisfies Record<Mode, Sums>;
  for (const { deltas } of parts) for (const delta of deltas) addTo(sums[delta.mode], delta);
  const whole: Sums = sums[mode];
  for (const { resets, heals } of parts) {
    for (const target of resets) sumOf(whole, target).replaced = true;
    for (const target of heals) sumOf(whole, target).repair = true;
  }
  return { buffered: pruned(sums.buffered), outbox: pruned(sums.outbox) };
}

type Sum = TargetDelta & {
  amounts: Map<string, bigint>;
  touches: string[];
  wait: number;
  flushAt: number;
  recalculateIn: number | null;
  replaced: boolean;
  repair: boolean;
};

type Sums = Map<string, Sum>;

function pruned(sums: Sums): TargetDelta[] {
  return [...sums.values()]
    .map(prune)
    .filter(({ amounts, replaced, repair }) => amounts.size > 0 || replaced || repair);
}

/** The sum of a target that nothing may have been added to. */
function sumOf(sums: Sums, target: string): Sum {
  const known = sums.get(target);
  if (known !== undefined) return known;
  const sum: Sum = {
    target,
    amounts: new Map(),
    touches: [],
    wait: 0,
    flushAt: 0,
    recalculateIn: null,
    replaced: false,
    repair: false,
  };
  sums.set(target, sum);
  return sum;
}

function addTo(sums: Sums, delta: CapturedDelta): void {
  const sum = sums.get(delta.target);
  if (sum === undefined) {
    const { target, wait, flushAt, recalculateIn } = delta;
    sums.set(target, {
      target,
      amounts: new Map([[delta.column, delta.amount]]),
      touches: delta.touch === null ? [] : [delta.touch],
      wait,
      flushAt,
      recalculateIn,
      replaced: false,
      repair: false,
    });
    return;
  }
  sum.amounts.set(delta.column, (sum.amounts.get(delta.column) ?? 0n) + delta.amount);
  if (delta.touch !== null && !sum.touches.includes(delta.touch)) sum.touches.push(delta.touch);
  sum.wait = Math.min(sum.wait, delta.wait);
  sum.flushAt = smallest(sum.flushAt, delta.flushAt);
  sum.recalculateIn =
    delta.recalculateIn === null ? sum.recalculateIn : Math.min(delta.recalculateIn, sum.recalculateIn ?? Infinity);
}

/** Fewer deltas, with the same sums. */
export function addedUp(deltas: readonly CapturedDelta[]): CapturedDelta[] {
  const sums = new Map<string, { -readonly [Name in keyof CapturedDelta]: CapturedDelta[Name] }>();
  for (const delta of deltas) {
    const key = `${delta.mode} ${delta.column} ${delta.touch ?? ''} ${delta.target}`;
    const sum = sums.get(key);
    if (sum === undefined) {
      sums.set(key, { ...delta });
      continue;
    }
    sum.amount += delta.amount;
    sum.wait = Math.min(sum.wait, delta.wait);
    sum.flushAt = smallest(sum.flushAt, delta.flushAt);
    if (delta.recalculateIn !== null) sum.recalculateIn = Math.min(delta.recalculateIn, sum.recalculateIn ?? Infinity);
  }
  return [...sums.values()];
}

/** 0 is off. */
function smallest(left: number, right: number): number {
  return left === 0 || right === 0 ? Math.max(left, right) : Math.min(left, right);
}

function prune(sum: Sum): TargetDelta {
  for (const [column, amount] of sum.amounts) if (amount === 0n) sum.amounts.delete(column);
  return sum;
}
