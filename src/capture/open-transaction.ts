import type { TargetDelta } from '../buffer/buffer';

/** One captured change of one column of one target. */
export interface CapturedDelta {
  readonly target: string;
  readonly column: string;
  readonly amount: bigint;
  readonly touch: string | null;
  readonly wait: number;
  readonly batchSize: number;
  readonly recalculateIn: number | null;
}

/** What is captured since a savepoint (or since the start). */
interface Frame {
  readonly savepoint: string | null;
  readonly deltas: CapturedDelta[];
  /** Targets that appeared, vanished or changed their key. */
  readonly resets: Set<string>;
  /** A captured write whose amount was refused: the transaction must not commit it. */
  refusal: Error | null;
}

/** The captured deltas of one transaction: a stack of frames, one per savepoint. */
export class OpenTransaction {
  /** The database's id of this transaction; known once something was captured. */
  id: string | null = null;
  readonly #frames: Frame[] = [{ savepoint: null, deltas: [], resets: new Set(), refusal: null }];

  record(delta: CapturedDelta): void {
    this.#top().deltas.push(delta);
  }

  /** Asks for a recalculation of a target from what is there after the transaction. */
  reset(target: string): void {
    this.#top().resets.add(target);
  }

  /** Keeps COMMIT from succeeding, unless a savepoint before the refused write is rolled back to. */
  refuse(error: Error): void {
    this.#top().refusal ??= error;
  }

  get refusal(): Error | null {
    return this.#frames.find(({ refusal }) => refusal !== null)?.refusal ?? null;
  }

  savepoint(name: string): void {
    this.#frames.push({ savepoint: name, deltas: [], resets: new Set(), refusal: null });
  }

  /** A released savepoint's changes, and those of the savepoints after it, belong to the frame below. */
  release(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    const below = this.#frames[at - 1];
    for (const frame of this.#frames.splice(at)) {
      if (below === undefined) continue;
      for (const delta of frame.deltas) below.deltas.push(delta);
      for (const target of frame.resets) below.resets.add(target);
      below.refusal ??= frame.refusal;
    }
  }

  /** The savepoint itself stays, empty: SQL allows to roll back to it again. */
  rollbackTo(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    this.#frames.splice(at);
    this.savepoint(name);
  }

  /** The sum per target; targets whose every amount is zero, and that are not reset, are left out. */
  deltas(): TargetDelta[] {
    const sums = new Map<string, Sum>();
    for (const frame of this.#frames) for (const delta of frame.deltas) addTo(sums, delta);
    for (const frame of this.#frames)
      for (const target of frame.resets) sums.set(target, { ...(sums.get(target) ?? emptySum(target)), reset: true });
    return [...sums.values()].map(prune).filter(({ amounts, reset }) => amounts.size > 0 || reset);
  }

  #top(): Frame {
    const frame = this.#frames.at(-1);
    if (frame === undefined) throw new Error('a transaction has at least one frame');
    return frame;
  }

  #find(name: string): number {
    return this.#frames.findLastIndex((frame) => frame.savepoint === name);
  }
}

type Sum = TargetDelta & {
  amounts: Map<string, bigint>;
  touches: string[];
  wait: number;
  batchSize: number;
  recalculateIn: number | null;
  reset: boolean;
};

function emptySum(target: string): Sum {
  return { target, amounts: new Map(), touches: [], wait: 0, batchSize: 0, recalculateIn: null, reset: false };
}

function addTo(sums: Map<string, Sum>, delta: CapturedDelta): void {
  const sum = sums.get(delta.target);
  if (sum === undefined) {
    const { target, wait, batchSize, recalculateIn } = delta;
    sums.set(target, {
      target,
      amounts: new Map([[delta.column, delta.amount]]),
      touches: delta.touch === null ? [] : [delta.touch],
      wait,
      batchSize,
      recalculateIn,
      reset: false,
    });
    return;
  }
  sum.amounts.set(delta.column, (sum.amounts.get(delta.column) ?? 0n) + delta.amount);
  if (delta.touch !== null && !sum.touches.includes(delta.touch)) sum.touches.push(delta.touch);
  sum.wait = Math.min(sum.wait, delta.wait);
  sum.batchSize = smallest(sum.batchSize, delta.batchSize);
  sum.recalculateIn =
    delta.recalculateIn === null ? sum.recalculateIn : Math.min(delta.recalculateIn, sum.recalculateIn ?? Infinity);
}

/** 0 is off. */
function smallest(left: number, right: number): number {
  return left === 0 || right === 0 ? Math.max(left, right) : Math.min(left, right);
}

function prune(sum: Sum): TargetDelta {
  for (const [column, amount] of sum.amounts) if (amount === 0n) sum.amounts.delete(column);
  return sum;
}
