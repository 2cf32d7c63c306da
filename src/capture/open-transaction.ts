import type { TargetDelta } from '../buffer/buffer';
import type { Durability } from '../durability';
import type { DatedEnd } from './dated-ends';

/** One captured change of one column of one target. */
export interface CapturedDelta {
  readonly target: string;
  readonly column: string;
  readonly amount: bigint;
  readonly touch: string | null;
  readonly wait: number;
  readonly batchSize: number;
  readonly recalculateIn: number | null;
  readonly durability: Durability;
}

/** The sums of a transaction, by how they are handed over. */
export type CapturedSums = Readonly<Record<Durability, TargetDelta[]>>;

/** What is captured since a savepoint (or since the start). */
interface Frame {
  readonly savepoint: string | null;
  readonly deltas: CapturedDelta[];
  /** Targets that appeared, vanished or changed their key. */
  readonly resets: Set<string>;
  /** Targets whose sources changed in ways that transactions at the same time cannot see. */
  readonly heals: Set<string>;
  /** A captured write whose amount was refused: the transaction must not commit it. */
  refusal: Error | null;
}

/** How a transaction ended. */
export type Outcome = 'committed' | 'rolled back' | 'unknown';

/** The captured deltas of one transaction: a stack of frames, one per savepoint. */
export class OpenTransaction {
  /** How what is asked of a whole target is handed over; the deltas of its counters may go another way. */
  readonly #durability: Durability;
  /** Made by the library around one statement: no other statement is part of it. */
  readonly isSingle: boolean;
  #outcome: Outcome | null = null;
  #id: string | null = null;
  // Made when they are needed: most transactions capture nothing.
  #frames: Frame[] | null = null;
  #dated: DatedEnd[] | null = null;
  #idle: (() => void)[] | null = null;
  #over: (() => void)[] | null = null;
  #isEnding = false;
  #version = 0;
  #running = 0;

  constructor(durability: Durability, isSingle = false) {
    this.#durability = durability;
    this.isSingle = isSingle;
  }

  /** How it ended, once it is over. */
  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** COMMIT or ROLLBACK is on its way: a statement sent now is no part of it. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** The database's id of this transaction; known once something was captured. */
  get id(): string | null {
    return this.#id;
  }

  /** Changes with everything that is recorded. */
  get version(): number {
    return this.#version;
  }

  /** A captured statement is under way. */
  get isRunning(): boolean {
    return this.#running > 0;
  }

  /** Nothing is captured, refused or under way. */
  get isIdle(): boolean {
    return this.#version === 0 && this.#running === 0;
  }

  /**
   * Tells the transaction its id. When it is another than before, what was captured so far belongs to a transaction
   * whose end was not seen; returns that, and starts anew.
   */
  identify(id: string): TargetDelta[] | null {
    const forgotten = this.#id === null || this.#id === id ? null : this.targets();
    if (forgotten !== null) this.#frames = null;
    this.#id = id;
    return forgotten;
  }

  /** Runs a captured statement of this transaction; its COMMIT waits for it. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#wake();
    }
  }

  /** Resolves when no captured statement is under way. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle ??= []).push(resolve));
  }

  /** Its COMMIT or ROLLBACK is sent. */
  startEnding(): void {
    this.#isEnding = true;
  }

  /** Its COMMIT or ROLLBACK is answered; `null`: it could not be sent, or the connection is lost. */
  endWith(outcome: Outcome | null): void {
    this.#outcome = outcome;
    this.#isEnding = false;
    const waiting = this.#over ?? [];
    this.#over = null;
    for (const resolve of waiting) resolve();
  }

  /** Resolves when what {@link startEnding} told of is answered. */
  async over(): Promise<void> {
    if (this.#isEnding) await new Promise<void>((resolve) => (this.#over ??= []).push(resolve));
  }

  record(delta: CapturedDelta): void {
    this.#top().deltas.push(delta);
    this.#version += 1;
  }

  /** Asks for a recalculation of a target from what is there after the transaction. */
  reset(target: string): void {
    this.#top().resets.add(target);
    this.#version += 1;
  }

  /** Asks for a recalculation of a target once every transaction that is open at COMMIT is over. */
  heal(target: string): void {
    this.#top().heals.add(target);
    this.#version += 1;
  }

  /** Has ends of paths followed again before COMMIT. Those of a savepoint that is rolled back do no harm. */
  recheck(ends: readonly DatedEnd[]): void {
    for (const end of ends) (this.#dated ??= []).push(end);
  }

  /** Ends that are still to be followed again. */
  takeDated(): readonly DatedEnd[] {
    const taken = this.#dated ?? [];
    this.#dated = null;
    return taken;
  }

  get isDated(): boolean {
    return this.#dated !== null;
  }

  /** Keeps COMMIT from succeeding, unless a savepoint before the refused write is rolled back to. */
  refuse(error: Error): void {
    this.#top().refusal ??= error;
    this.#version += 1;
  }

  get refusal(): Error | null {
    return this.#frames?.find(({ refusal }) => refusal !== null)?.refusal ?? null;
  }

  savepoint(name: string): void {
    this.#stack().push(newFrame(name));
  }

  /** A released savepoint's changes, and those of the savepoints after it, belong to the frame below. */
  release(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    const frames = this.#stack();
    const below = frames[at - 1];
    for (const frame of frames.splice(at)) {
      if (below === undefined) continue;
      for (const delta of frame.deltas) below.deltas.push(delta);
      for (const target of frame.resets) below.resets.add(target);
      for (const target of frame.heals) below.heals.add(target);
      below.refusal ??= frame.refusal;
    }
  }

  /** The savepoint itself stays, empty: SQL allows to roll back to it again. */
  rollbackTo(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    const dropped = this.#stack().splice(at);
    this.savepoint(name);
    // What was handed over while this was under way has to be handed over anew.
    if (!dropped.every(isEmpty)) this.#version += 1;
  }

  /** The sum per target; targets whose every amount is zero, and that nothing else is asked of, are left out. */
  sums(): CapturedSums {
    const sums = { guarded: new Map(), relaxed: new Map(), outbox: new Map() } satisfies Record<Durability, Sums>;
    for (const frame of this.#stack()) for (const delta of frame.deltas) addTo(sums[delta.durability], delta);
    const whole: Sums = sums[this.#durability];
    for (const { resets, heals } of this.#stack()) {
      for (const target of resets) sumOf(whole, target).reset = true;
      for (const target of heals) sumOf(whole, target).heal = true;
    }
    return { guarded: pruned(sums.guarded), relaxed: pruned(sums.relaxed), outbox: pruned(sums.outbox) };
  }

  /** Everything that {@link sums} names, however it would be handed over. */
  targets(): TargetDelta[] {
    return Object.values(this.sums()).flat();
  }

  #wake(): void {
    const waiting = this.#idle ?? [];
    this.#idle = null;
    for (const resolve of waiting) resolve();
  }

  #stack(): Frame[] {
    this.#frames ??= [newFrame(null)];
    return this.#frames;
  }

  #top(): Frame {
    const frame = this.#stack().at(-1);
    if (frame === undefined) throw new Error('a transaction has at least one frame');
    return frame;
  }

  #find(name: string): number {
    return this.#stack().findLastIndex((frame) => frame.savepoint === name);
  }
}

function newFrame(savepoint: string | null): Frame {
  return { savepoint, deltas: [], resets: new Set(), heals: new Set(), refusal: null };
}

function isEmpty({ deltas, resets, heals, refusal }: Frame): boolean {
  return deltas.length + resets.size + heals.size === 0 && refusal === null;
}

type Sum = TargetDelta & {
  amounts: Map<string, bigint>;
  touches: string[];
  wait: number;
  batchSize: number;
  recalculateIn: number | null;
  reset: boolean;
  heal: boolean;
};

type Sums = Map<string, Sum>;

function pruned(sums: Sums): TargetDelta[] {
  return [...sums.values()].map(prune).filter(({ amounts, reset, heal }) => amounts.size > 0 || reset || heal);
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
    batchSize: 0,
    recalculateIn: null,
    reset: false,
    heal: false,
  };
  sums.set(target, sum);
  return sum;
}

function addTo(sums: Sums, delta: CapturedDelta): void {
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
      heal: false,
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
