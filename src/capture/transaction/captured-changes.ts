import type { TargetDelta } from '../../model/pending';
import type { Mode } from '../../model/mode';
import type { DatedEnd } from './dated-ends';

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

/** Deltas that are kept one by one: most transactions have few. */
const MANY = 4_096;

const NONE: ReadonlySet<never> = new Set<never>();

/** What changed rows come to. Sets are made when they are needed: most writes only add deltas. */
export class CapturedChanges {
  /** Ends of paths that have to be followed again before COMMIT. */
  readonly dated: DatedEnd[] = [];
  #deltas: CapturedDelta[] = [];
  #limit = MANY;
  #replaced: Set<string> | null = null;
  #repairs: Set<string> | null = null;
  #refusals: Set<Error> | null = null;

  get deltas(): readonly CapturedDelta[] {
    return this.#deltas;
  }

  /** Targets that appeared, vanished or changed their key. */
  get replaced(): ReadonlySet<string> {
    return this.#replaced ?? NONE;
  }

  /** Targets whose sources changed in ways that transactions at the same time cannot see, or that cannot be counted. */
  get repairs(): ReadonlySet<string> {
    return this.#repairs ?? NONE;
  }

  /** Why it must not be committed: each of them has to be lifted. */
  get refusals(): ReadonlySet<Error> {
    return this.#refusals ?? NONE;
  }

  /** The first of {@link refusals}. */
  get refusal(): Error | null {
    const [first = null] = this.refusals;
    return first;
  }

  get isEmpty(): boolean {
    return this.#deltas.length + this.replaced.size + this.repairs.size + this.refusals.size === 0;
  }

  refuse(error: Error): void {
    (this.#refusals ??= new Set()).add(error);
  }

  lift(error: Error): void {
    this.#refusals?.delete(error);
  }

  replace(target: string): void {
    (this.#replaced ??= new Set()).add(target);
  }

  repair(target: string): void {
    (this.#repairs ??= new Set()).add(target);
  }

  add(delta: CapturedDelta): void {
    this.#deltas.push(delta);
    if (this.#deltas.length < this.#limit) return;
    this.#deltas = addedUp(this.#deltas);
    this.#limit = Math.max(MANY, 2 * this.#deltas.length);
  }

  addAll({ deltas, replaced, repairs, dated, refusals }: CapturedChanges): void {
    for (const delta of deltas) this.add(delta);
    for (const target of replaced) this.replace(target);
    for (const target of repairs) this.repair(target);
    for (const end of dated) this.dated.push(end);
    for (const error of refusals) this.refuse(error);
  }

  /** Targets of all deltas, be their sum zero or not, and all others. */
  targets(): ReadonlySet<string> {
    return new Set([...this.#deltas.map(({ target }) => target), ...this.replaced, ...this.repairs]);
  }
}

/**
 * The sum per target; targets whose every amount is zero, and that nothing else is asked of, are left out. What is asked
 * of a whole target is published by `mode`.
 */
export function sumUp(parts: readonly CapturedChanges[], mode: Mode): CapturedSums {
  const sums = { buffered: new Map(), outbox: new Map() } satisfies Record<Mode, Sums>;
  for (const { deltas } of parts) for (const delta of deltas) addTo(sums[delta.mode], delta);
  const whole: Sums = sums[mode];
  for (const { replaced, repairs } of parts) {
    for (const target of replaced) sumOf(whole, target).replaced = true;
    for (const target of repairs) sumOf(whole, target).repair = true;
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

/** The sum of a target; where there is none yet, one that may wait as long as `first`. */
function sumOf(sums: Sums, target: string, first: Pick<Sum, 'wait' | 'flushAt' | 'recalculateIn'> = AT_ONCE): Sum {
  const known = sums.get(target);
  if (known !== undefined) return known;
  const { wait, flushAt, recalculateIn } = first;
  const amounts = new Map<string, bigint>();
  const sum: Sum = { target, amounts, touches: [], wait, flushAt, recalculateIn, replaced: false, repair: false };
  sums.set(target, sum);
  return sum;
}

const AT_ONCE = { wait: 0, flushAt: 0, recalculateIn: null };

function addTo(sums: Sums, delta: CapturedDelta): void {
  const sum = sumOf(sums, delta.target, delta);
  sum.amounts.set(delta.column, (sum.amounts.get(delta.column) ?? 0n) + delta.amount);
  if (delta.touch !== null && !sum.touches.includes(delta.touch)) sum.touches.push(delta.touch);
  sum.wait = Math.min(sum.wait, delta.wait);
  sum.flushAt = smallest(sum.flushAt, delta.flushAt);
  sum.recalculateIn =
    delta.recalculateIn === null ? sum.recalculateIn : Math.min(delta.recalculateIn, sum.recalculateIn ?? Infinity);
}

/** Fewer deltas, with the same sums. */
function addedUp(deltas: readonly CapturedDelta[]): CapturedDelta[] {
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
