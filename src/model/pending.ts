/** What one transaction adds to one target. */
export interface TargetDelta {
  /** Encoded target id, see `target.ts`. */
  readonly target: string;
  /** Database column name → amount in units of 10^-scale. */
  readonly amounts: ReadonlyMap<string, bigint>;
  /** Timestamp columns to write together with the amounts. */
  readonly touches: readonly string[];
  /** Milliseconds from the first pending delta until it is due. */
  readonly wait: number;
  /** Due at once when the absolute pending delta of a column reaches it; 0 is off. */
  readonly flushAt: number;
  /** Milliseconds until a full recalculation, counted from the first write not yet covered; `null` is never. */
  readonly recalculateIn: number | null;
  /**
   * The target appeared, vanished or changed its key: what is pending for it is dropped, and a repair requested that reads
   * after this transaction.
   */
  readonly replaced: boolean;
  /**
   * The target's sources changed in ways that transactions at the same time cannot see. The process that confirms requests
   * its repair first, behind a barrier allocated after COMMIT; to the buffer it only matters that a sweep finds the target
   * in the intent.
   */
  readonly repair: boolean;
}

/** A time at which a shard wants a job. All times are the buffer's clock, in ms since the epoch. */
export interface WakeUp {
  readonly kind: 'reconcile' | 'recalculate';
  readonly shard: number;
  /** End of the window in which something is due. */
  readonly at: number;
  /** `at` minus the buffer's present; may be negative. */
  readonly delay: number;
}

/** One target of a batch. */
export interface BatchEntry {
  readonly target: string;
  readonly amounts: ReadonlyMap<string, bigint>;
  /** Timestamp column → ms since the epoch. */
  readonly touches: ReadonlyMap<string, number>;
}

/** What was claimed. Stays in the buffer until acknowledged. */
export interface Batch {
  readonly id: string;
  readonly shard: number;
  /** The shard's epoch at the claim; compared with SQL when applied. */
  readonly epoch: number;
  /** Buffer's clock, ms. */
  readonly claimedAt: number;
  readonly entries: readonly BatchEntry[];
}

/** Which targets to claim: those that are due, all dirty ones (of some tables), or the named ones, due or not. */
export type ClaimScope =
  | { readonly select: 'due' }
  | { readonly select: 'dirty'; readonly tableIds: readonly string[] | null }
  | { readonly select: 'targets'; readonly targets: readonly string[] };

/**
 * A target of a batch that was not applied: given back, due again after `backoff` ms, or parked as failed. With
 * `columns`, amounts and touches of all others were applied, and only those are given back.
 */
export type Unapplied =
  | { readonly target: string; readonly backoff: number; readonly columns?: readonly string[] }
  | { readonly target: string; readonly failed: string };

/** A database snapshot: a transaction is visible when its id is below `xmin`, or below `xmax` and not in `inProgress`. */
export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly inProgress: readonly bigint[];
}
