import type { Amounts, HeldBatch, Outcome, Purpose, Read } from './calls';

/** What the imagined database holds: one target, its sources as the sum that they should give, and the library's tables. */
export interface Sql {
  column: Amounts;
  truth: Amounts;
  /** Sum of the outbox rows that wait; null: none. */
  waiting: Amounts | null;
  /** Sum of those that were refused. */
  parked: Amounts | null;
  /** Batch → what became of its target. */
  ledger: Record<string, Outcome>;
  /** Batches older than the ledger remembers. */
  old: readonly string[];
  epoch: number;
  rebuilding: boolean;
  /** The life of Redis that was last noticed. */
  life: number;
  /** The finder that holds the shard's row, counted from 1; 0: nobody. */
  lock: number;
}

/** A call that a writer has still to make after the end of its transaction. */
export type Errand = 'confirm' | 'discard' | 'request';

/** A transaction that adds to the target. */
export interface Writer {
  at: 'start' | 'open' | 'ready' | 'ended';
  /** Id of the transaction; 0 when it does not matter any more. */
  id: number;
  /** How its delta is handed over. */
  via: 'nothing' | 'redis' | 'outbox' | 'memory';
  errands: Errand[];
  /** A call that timed out, and arrives later. */
  late: 'announce' | 'confirm' | null;
}

/** Somebody who holds batches: a worker, or a zombie whose batches were taken over while it slept. */
export interface Worker {
  /** `repair`: the batch was fenced. */
  at: 'idle' | 'apply' | 'repair' | 'acknowledge';
  batches: HeldBatch[];
  outcome: Outcome;
}

export interface Recalculator {
  at: 'idle' | 'acquire' | 'read' | 'finalize' | 'retry';
  purpose: Purpose;
  /** Every column is recounted. */
  repair: boolean;
  horizon: number;
  token: string;
  read: Read | null;
  /** Something refused was met in the outbox. */
  refused: boolean;
}

/** Whoever looks for intents that are stale. */
export interface Sweeper {
  at: 'idle' | 'sweep';
  ids: number[];
  barrier: number;
}

/** Somebody who looks for losses: a sweep's `sweepEpochs` and `rebuild`. */
export interface Finder {
  at: 'idle' | 'adopt life' | 'compare' | 'adopt' | 'commit' | 'raise' | 'rebuild' | 'request' | 'note';
  life: number;
  /** As read: may be old. */
  epoch: number;
  rebuilding: boolean;
  /** Id of the transaction that rebuilds, while it is open. */
  barrier: number;
}

/** What may still go wrong, and how often. */
export interface Mishaps {
  crashes: number;
  wipes: number;
  saves: number;
  rewinds: number;
  locks: number;
  refusals: number;
  purges: number;
  /** Recalculations that a user starts. */
  visits: number;
  /** Looks of a second finder, at the same time as the first. */
  looks: number;
}

/** Everything, at one time. */
export interface State {
  /** Number of a state of Redis. */
  redis: number;
  /** The one to which it may go back; -1: none. */
  saved: number;
  /** Grows when Redis goes back in time. */
  life: number;
  sql: Sql;
  writers: Writer[];
  worker: Worker;
  zombie: Worker;
  recalculators: Recalculator[];
  sweeper: Sweeper;
  finders: Finder[];
  left: Mishaps;
}

/** One that does nothing. */
export const IDLE_WORKER: Worker = { at: 'idle', batches: [], outcome: 'applied' };
/** One that does nothing. */
export const IDLE_RECALCULATOR: Recalculator = {
  at: 'idle',
  purpose: 'due',
  repair: false,
  horizon: 0,
  token: '',
  read: null,
  refused: false,
};
/** One that does nothing. */
export const IDLE_SWEEPER: Sweeper = { at: 'idle', ids: [], barrier: 0 };
/** One that does nothing. */
export const IDLE_FINDER: Finder = { at: 'idle', life: 0, epoch: 0, rebuilding: false, barrier: 0 };

/** Ids of transactions that are open. */
export function openTransactions({ writers, finders }: State): number[] {
  const writing = writers.filter(({ at }) => at === 'open' || at === 'ready').map(({ id }) => id);
  return [...writing, ...finders.map(({ barrier }) => barrier).filter((id) => id > 0)].toSorted((a, b) => a - b);
}

/** Column by column. */
export function plus(left: Amounts, right: Amounts): Amounts {
  return left.map((amount, i) => amount + (right[i] ?? 0));
}

/** Column by column. */
export function minus(left: Amounts, right: Amounts): Amounts {
  return left.map((amount, i) => amount - (right[i] ?? 0));
}
