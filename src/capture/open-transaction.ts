import type { TargetDelta } from '../buffer/buffer';
import type { Durability } from '../durability';
import { CounterCacheError } from '../errors';
import type { DatedEnd } from './dated-ends';
import type { TableChanges } from './statement';

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

/** Captured changes, numbered in the order of their capture. */
interface Kept {
  readonly at: number;
  readonly table: TableChanges;
}

/** What is captured since a savepoint (or since the start). */
interface Frame {
  readonly savepoint: string | null;
  readonly deltas: CapturedDelta[];
  /** Targets that appeared, vanished or changed their key. */
  readonly resets: Set<string>;
  /** Targets whose sources changed in ways that transactions at the same time cannot see. */
  readonly heals: Set<string>;
  /** What was captured, row by row; kept only while rows are tracked. */
  readonly changes: Kept[];
  /** A captured write whose amount was refused: the transaction must not commit it. */
  refusal: Error | null;
}

/** The captured deltas of one transaction: a stack of frames, one per savepoint. */
export class OpenTransaction {
  /** How what is asked of a whole target is handed over; the deltas of its counters may go another way. */
  readonly #durability: Durability;
  /** Made by the library around one statement: no other statement is part of it. */
  readonly isSingle: boolean;
  /** How it ended, once it is over. */
  outcome: 'committed' | 'rolled back' | 'unknown' | null = null;
  #id: string | null = null;
  #frames: Frame[] = [newFrame(null)];
  readonly #dated: DatedEnd[] = [];
  #version = 0;
  #running = 0;
  #tracks = 0;
  #kept = 0;
  readonly #idle: (() => void)[] = [];

  constructor(durability: Durability, isSingle = false) {
    this.#durability = durability;
    this.isSingle = isSingle;
  }

  /** The database's id of this transaction; known once something was captured. */
  get id(): string | null {
    return this.#id;
  }

  /** Changes with everything that is recorded. */
  get version(): number {
    return this.#version;
  }

  /** A captured statement, or tracked work, is under way. */
  get isRunning(): boolean {
    return this.#running + this.#tracks > 0;
  }

  /** Nothing is captured, refused or under way. */
  get isIdle(): boolean {
    return this.#version === 0 && !this.isRunning;
  }

  /**
   * Tells the transaction its id. When it is another than before, what was captured so far belongs to a transaction
   * whose end was not seen; returns that, and starts anew.
   */
  identify(id: string): TargetDelta[] | null {
    const forgotten = this.#id === null || this.#id === id ? null : this.targets();
    if (forgotten !== null) this.#frames = [newFrame(null)];
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
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Resolves when no captured statement is under way. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Keeps captured changes, and COMMIT from succeeding, until the function it returns is called. */
  track(): () => void {
    this.#tracks += 1;
    return () => {
      this.#tracks -= 1;
      if (this.#tracks === 0) for (const { changes } of this.#frames) changes.splice(0);
    };
  }

  /** Changes are kept. */
  get isTracked(): boolean {
    return this.#tracks > 0;
  }

  /** Told all that is captured, row by row. */
  keep(tables: readonly TableChanges[]): void {
    if (this.#tracks > 0) for (const table of tables) this.#top().changes.push({ at: (this.#kept += 1), table });
  }

  /** What is kept since a savepoint, in the order of its capture. */
  keptSince(name: string): readonly TableChanges[] {
    const kept = this.#frames.slice(this.#find(name)).flatMap(({ changes }) => changes);
    // What was recorded below a savepoint may be later than what was recorded in it.
    return kept.toSorted((left, right) => left.at - right.at).map(({ table }) => table);
  }

  has(savepoint: string): boolean {
    return this.#find(savepoint) >= 0;
  }

  /** Whether no other savepoint has been set since this one. */
  isInnermost(savepoint: string): boolean {
    return this.#top().savepoint === savepoint;
  }

  /** Lets `fill` record as if no other savepoint had been set since this one: to be kept when those are rolled back. */
  under(savepoint: string, fill: () => void): void {
    const above = this.#frames.splice(this.#find(savepoint) + 1);
    try {
      fill();
    } finally {
      for (const frame of above) this.#frames.push(frame);
    }
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
    for (const end of ends) this.#dated.push(end);
  }

  /** Ends that are still to be followed again. */
  takeDated(): readonly DatedEnd[] {
    return this.#dated.splice(0);
  }

  get isDated(): boolean {
    return this.#dated.length > 0;
  }

  /** Keeps COMMIT from succeeding, unless a savepoint before the refused write is rolled back to. */
  refuse(error: Error): void {
    this.#top().refusal ??= error;
    this.#version += 1;
  }

  get refusal(): Error | null {
    if (this.#tracks > 0) return unfinished();
    return this.#frames.find(({ refusal }) => refusal !== null)?.refusal ?? null;
  }

  savepoint(name: string): void {
    this.#frames.push(newFrame(name));
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
      for (const target of frame.heals) below.heals.add(target);
      for (const kept of frame.changes) below.changes.push(kept);
      below.refusal ??= frame.refusal;
    }
  }

  /** The savepoint itself stays, empty: SQL allows to roll back to it again. */
  rollbackTo(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    const dropped = this.#frames.splice(at);
    this.savepoint(name);
    // What was handed over while this was under way has to be handed over anew.
    if (!dropped.every(isEmpty)) this.#version += 1;
  }

  /** The sum per target; targets whose every amount is zero, and that nothing else is asked of, are left out. */
  sums(): CapturedSums {
    const sums = { guarded: new Map(), relaxed: new Map(), outbox: new Map() } satisfies Record<Durability, Sums>;
    for (const frame of this.#frames) for (const delta of frame.deltas) addTo(sums[delta.durability], delta);
    const whole: Sums = sums[this.#durability];
    for (const { resets, heals } of this.#frames) {
      for (const target of resets) sumOf(whole, target).reset = true;
      for (const target of heals) sumOf(whole, target).heal = true;
    }
    return { guarded: pruned(sums.guarded), relaxed: pruned(sums.relaxed), outbox: pruned(sums.outbox) };
  }

  /** Everything that {@link sums} names, however it would be handed over. */
  targets(): TargetDelta[] {
    return Object.values(this.sums()).flat();
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

function newFrame(savepoint: string | null): Frame {
  return { savepoint, deltas: [], resets: new Set(), heals: new Set(), changes: [], refusal: null };
}

function unfinished(): Error {
  const advice = 'End the transaction elsewhere than in its work, and await counters.track before COMMIT';
  return new CounterCacheError(
    'WRITE_FAILED',
    `COMMIT was sent while the work of counters.track was under way. ${advice}`,
  );
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
