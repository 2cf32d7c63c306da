import type { Batch, TargetDelta } from '../../../model/pending';
import type { Step } from './step';
import { windowStart } from '../../../model/windows';

/** What is pending for one target. */
export interface Pending {
  readonly amounts: Map<string, bigint>;
  /** Timestamp column → ms since the epoch. */
  readonly touches: Map<string, number>;
}

/** A delta of an open intent; absorbing takes columns out of it. */
export interface StoredDelta extends TargetDelta {
  readonly amounts: Map<string, bigint>;
}

interface StoredIntent {
  readonly announcedAt: number;
  readonly deltas: readonly StoredDelta[];
}

interface StoredBatch {
  readonly batch: Batch;
  /** Time of the claim or of the last take-over, ms. */
  heldSince: number;
}

interface Lease {
  readonly token: string;
  readonly expires: number;
}

/** One amount that was confirmed while a lease stood. */
export interface LogEntry {
  readonly intent: string;
  readonly column: string;
  readonly amount: bigint;
}

/** The state of one shard, and the rules that several methods of the buffer share. */
export class MemoryShard {
  epoch: number | null = null;
  /** Bumped whenever an amount moves between pending, a batch and the column. */
  version = 0;
  readonly pending = new Map<string, Pending>();
  /** Target → ms. */
  readonly due = new Map<string, number>();
  /** Target → ms: a recalculation is requested. */
  readonly recalculations = new Map<string, number>();
  /** Target → transaction id that must be over before any recalculation. */
  readonly barriers = new Map<string, bigint>();
  readonly logs = new Map<string, LogEntry[]>();
  /** Target → reason: parked, not due. */
  readonly failed = new Map<string, string>();
  readonly intents = new Map<string, StoredIntent>();
  readonly batches = new Map<string, StoredBatch>();
  /** Target → number of unacknowledged batches that hold it. */
  readonly claimed = new Map<string, number>();
  readonly #leases = new Map<string, Lease>();

  pendingOf(target: string): Pending {
    const standing = this.pending.get(target);
    if (standing !== undefined) return standing;
    const fresh: Pending = { amounts: new Map(), touches: new Map() };
    this.pending.set(target, fresh);
    return fresh;
  }

  /** Makes an amount pending and returns the sum; `null`, and nothing is changed, when the sum leaves int64. */
  addAmount(target: string, column: string, amount: bigint): bigint | null {
    const { amounts } = this.pendingOf(target);
    const sum = (amounts.get(column) ?? 0n) + amount;
    if (!fitsInt64(amount) || !fitsInt64(sum)) return null;
    amounts.set(column, sum);
    return sum;
  }

  addTouch(target: string, column: string, time: number): void {
    const { touches } = this.pendingOf(target);
    touches.set(column, Math.max(touches.get(column) ?? time, time));
  }

  /** Makes a target due; a due time only ever moves earlier. */
  makeDue(target: string, at: number, step: Step): void {
    if ((this.due.get(target) ?? Infinity) <= at) return;
    this.due.set(target, at);
    step.reconcileAt(at);
  }

  /** Forgets what is pending for a target, and that the database refused it. */
  dropPending(target: string): void {
    this.pending.delete(target);
    this.due.delete(target);
    this.failed.delete(target);
  }

  /** Requests a repair, which needs a later snapshot: the lease ends. */
  requestRepair(target: string, time: number, barrier: bigint, step: Step): void {
    const at = windowStart(time, step.window);
    if ((this.recalculations.get(target) ?? Infinity) > at) {
      this.recalculations.set(target, at);
      step.recalculateAt(at);
    }
    this.endLease(target);
    const standing = this.barriers.get(target);
    if (standing === undefined || standing < barrier) this.barriers.set(target, barrier);
  }

  /** The token on a target. A lease that has expired is none. */
  tokenOn(target: string, now: number): string | null {
    const lease = this.#leases.get(target);
    return lease === undefined || lease.expires <= now ? null : lease.token;
  }

  beginLease(target: string, lease: Lease): void {
    this.#leases.set(target, lease);
    this.logs.delete(target);
  }

  /** An expired lease stays expired: its log has ended. */
  renewLease(target: string, token: string, now: number, expires: number): void {
    if (this.tokenOn(target, now) === token) this.#leases.set(target, { token, expires });
  }

  endLease(target: string): void {
    this.#leases.delete(target);
    this.logs.delete(target);
  }

  log(target: string, entry: LogEntry): void {
    const entries = this.logs.get(target);
    if (entries === undefined) this.logs.set(target, [entry]);
    else entries.push(entry);
  }
}

function fitsInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}

/** At most `limit` keys whose time has come, the oldest first. */
export function reached(times: Iterable<readonly [string, number]>, now: number, limit: number): string[] {
  const ready = [...times].filter(([, time]) => time <= now);
  return ready
    .toSorted(([, a], [, b]) => a - b)
    .slice(0, limit)
    .map(([key]) => key);
}
