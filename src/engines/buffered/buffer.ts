import type { TargetDelta, WakeUp, Batch, ClaimScope, Unapplied, Snapshot } from '../../model/pending';

/** Deltas of one transaction in one shard. The id is the transaction's id (PostgreSQL: `pg_current_xact_id()`). */
export interface Intent {
  readonly id: string;
  readonly deltas: readonly TargetDelta[];
}

/** The outcome of a confirm or an acknowledge. */
export interface Confirmed {
  /**
   * False: it was not there. An intent was swept, lost or never announced, and its targets must be requested; a batch
   * was acknowledged before.
   */
  readonly found: boolean;
  readonly wakeUps: readonly WakeUp[];
}

/** The columns and touches that a process knows, by id of the target table: what it may claim. */
export type Known = ReadonlyMap<
  string,
  { readonly columns: ReadonlyMap<string, unknown>; readonly touches: ReadonlyMap<string, unknown> }
>;

/** What a claim has left where it was, for processes that know it: targets, or some of their columns. */
export interface LeftForOthers {
  readonly targets: number;
  /** Those of them of which the rest is in the batch. */
  readonly inBatch: readonly string[];
  /** When the oldest of them was due, buffer's clock. */
  readonly since: number;
  /** Ids of their tables. */
  readonly tableIds: readonly string[];
  /** There are so many that they were put off: until then others do not find them due. */
  readonly arePutOff: boolean;
}

/** The outcome of a claim. */
export interface Claim {
  readonly batch: Batch | null;
  /** True when the limit was reached and more may be claimable now. */
  readonly more: boolean;
  /** Earliest time at which something else of this shard is due for this caller; `null` when nothing is dirty. */
  readonly next: number | null;
  /** `null` when there is nothing, or all was asked for. */
  readonly left?: LeftForOthers | null;
  /** True when the shard has no epoch: it lost its data, or was never used, and nothing of it can be claimed. */
  readonly isLost?: boolean;
  /** Buffer's clock, ms. */
  readonly now: number;
}

/** Why a lease was refused: claimed in an unacknowledged batch, leased by another, or behind a barrier. */
export type LeaseOutcome = 'acquired' | 'claimed' | 'held' | 'barred';

/** What the recount of one target found; `missing` is truth − column (− outbox), per column; `null` when the row is absent. */
export interface Recount {
  readonly target: string;
  readonly missing: ReadonlyMap<string, bigint> | null;
  /** Re-arm a recalculation after this many ms when the log held deltas that the snapshot did not see; `null` never. */
  readonly rearmIn: number | null;
}

/** How a finalize ended for one target. */
export interface Finalized {
  readonly target: string;
  /** False: the lease no longer stood, nothing was changed. */
  readonly standing: boolean;
  /**
   * Per recounted column, what was pending and visible to the snapshot: pending before, less what the log held and
   * the snapshot did not see, plus absorbed intents. Column + outbox + this = what the counter was worth.
   */
  readonly known: ReadonlyMap<string, bigint>;
}

/** What the buffer holds for one target at one version of its shard. */
export interface Held {
  readonly target: string;
  /** Pending per column. */
  readonly pending: ReadonlyMap<string, bigint>;
  /** Amounts in unacknowledged batches that hold this target. */
  readonly claims: readonly { readonly batch: string; readonly amounts: ReadonlyMap<string, bigint> }[];
}

/** Figures of one shard. */
export interface ShardStatus {
  readonly shard: number;
  readonly dirty: number;
  /** Earliest due time, buffer's clock; `null` when nothing is dirty. */
  readonly oldestDue: number | null;
  readonly batches: number;
  readonly intents: number;
  readonly recalculations: number;
  /** Those of the recalculations that were asked for because something may be wrong: they stand behind a barrier. */
  readonly repairs: number;
  readonly failed: readonly { readonly target: string; readonly reason: string }[];
  readonly now: number;
}

/** What a finalize is for. */
export interface FinalizeOptions {
  /** The request for a recalculation is fulfilled. */
  readonly consume: boolean;
  /** Change nothing: only end the lease and report. */
  readonly dry: boolean;
}

/**
 * Where pending deltas wait. Every method is atomic for its shard, runs on the buffer's own clock, and may be retried
 * or arrive late without counting twice (I3): a confirm moves an intent or finds it gone, an acknowledge deletes a
 * batch or finds it gone, a finalize needs its own lease.
 *
 * Words, invariants and protocol: `docs/protocol.md`.
 */
export interface DeltaBuffer {
  /** Number of shards. */
  readonly shards: number;

  /**
   * Names the data's present life: another one means that data may have gone back in time, as after a restart from an
   * older file or a failover. `null` when the buffer cannot tell.
   */
  incarnation(): Promise<string | null>;
  /** The shard's epoch, or `null` when the shard is empty (new, or it lost its data). */
  epoch(shard: number): Promise<number | null>;
  /** Raises the shard's epoch; a lower or equal one is ignored. */
  raiseEpoch(shard: number, epoch: number): Promise<void>;
  /** Forgets all that the shard holds, batches included, and gives it an epoch. */
  clear(shard: number, epoch: number): Promise<void>;

  /** Announces a delta before COMMIT. */
  announce(shard: number, intent: Intent): Promise<void>;
  /** Makes an announced delta pending; logs it under its transaction where a lease stands. */
  confirm(shard: number, intentId: string): Promise<Confirmed>;
  /** Forgets an announced delta. */
  discard(shard: number, intentId: string): Promise<void>;
  /** Makes a delta pending without announcing it. Not idempotent. */
  add(shard: number, intent: Intent): Promise<readonly WakeUp[]>;

  /** Moves pending deltas into a new batch; leased targets stay, and so does what is not `known` (all is, by default). */
  claim(shard: number, scope: ClaimScope, limit: number, known?: Known): Promise<Claim>;
  /** Deletes a batch; gives back what was not applied, with wake-ups for what is due again. */
  acknowledge(shard: number, batchId: string, unapplied: readonly Unapplied[]): Promise<Confirmed>;
  /**
   * Batches that no process has held for `olderThan` ms; from now on the caller holds them, so that one sweep at a time does.
   * Their `claimedAt` never changes: it is compared with the ledger's floor.
   */
  takeOver(shard: number, olderThan: number, limit: number): Promise<readonly Batch[]>;

  /** Ids of intents announced longer ago than `olderThan` ms. */
  staleIntents(shard: number, olderThan: number, limit: number): Promise<readonly string[]>;
  /** Drops those intents that still exist and requests the repair of their targets behind the barrier. */
  sweepIntents(
    shard: number,
    intentIds: readonly string[],
    barrier: bigint,
  ): Promise<{ readonly targets: readonly string[]; readonly wakeUps: readonly WakeUp[] }>;

  /**
   * Requests a repair: the recalculation, with a later snapshot, of every column. Ends leases, and lets no recalculation pass
   * before every transaction with an id up to the barrier is over; `0n` waits for none.
   */
  requestRepair(shard: number, targets: readonly string[], barrier: bigint): Promise<readonly WakeUp[]>;
  /** Targets whose recalculation is due, oldest first, and whether a repair is requested. */
  dueRecalculations(
    shard: number,
    limit: number,
  ): Promise<readonly { readonly target: string; readonly repair: boolean }[]>;
  /**
   * Puts a token on targets; `horizon` is the oldest transaction still open (PostgreSQL: `pg_snapshot_xmin`). `plain`
   * also refuses targets whose barrier has passed: what asked for it wants every column recounted, not some.
   */
  acquireLease(
    shard: number,
    token: string,
    targets: readonly string[],
    options: { readonly ttl: number; readonly horizon: bigint; readonly plain?: boolean },
  ): Promise<readonly LeaseOutcome[]>;
  /**
   * Sets pending to what is missing where the lease still stands, and ends the lease.
   * `dirty` names the targets for which something is pending now, in any column; none when `dry`.
   */
  finalize(
    shard: number,
    token: string,
    snapshot: Snapshot,
    recounts: readonly Recount[],
    options: FinalizeOptions,
  ): Promise<{
    readonly outcomes: readonly Finalized[];
    readonly dirty: readonly string[];
    readonly wakeUps: readonly WakeUp[];
  }>;
  /** Extends leases of this token that still stand. */
  renewLease(shard: number, token: string, targets: readonly string[], ttl: number): Promise<void>;
  /** Ends leases of this token. */
  releaseLease(shard: number, token: string, targets: readonly string[]): Promise<void>;
  /**
   * Puts off a due recalculation (refused, or failed) by `delay` ms; with a token only where its lease stands, since a
   * request that came meanwhile has ended it and is not to wait.
   */
  postpone(shard: number, targets: readonly string[], delay: number, token?: string): Promise<readonly WakeUp[]>;

  /** Pending and claimed amounts; `version` changes whenever an amount moves between pending, a batch and the column. */
  read(
    shard: number,
    targets: readonly string[],
  ): Promise<{ readonly version: number; readonly held: readonly Held[] }>;
  /** Figures of the shard. */
  status(shard: number): Promise<ShardStatus>;
  /** Makes failed targets due again: the named ones, or all. Returns how many. */
  retryFailed(
    shard: number,
    targets: readonly string[] | null,
  ): Promise<{ readonly count: number; readonly wakeUps: readonly WakeUp[] }>;
}
