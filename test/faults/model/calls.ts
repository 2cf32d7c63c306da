import type { Claim, DeltaBuffer } from '../../../src/engines/buffered/buffer';
import type { Batch, Snapshot, Unapplied } from '../../../src/model/pending';
import { targetTableId, targetId } from '../../../src/model/target';
import { NEW_BATCH, LEASE_TTL } from './canonical';

/** What a call answers, reduced to what the model looks at. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** One call of the buffer; calls of one text are the same call. */
export interface Call {
  readonly text: string;
  readonly run: (buffer: DeltaBuffer) => Promise<Json>;
}

/** One amount per column. */
export type Amounts = readonly number[];

/** A batch, as a worker holds it. */
export interface HeldBatch {
  readonly id: string;
  readonly epoch: number;
  readonly amounts: Amounts;
}

/** What became of the only target of a batch. */
export type Outcome = 'applied' | 'locked' | 'refused';

/** The columns that a scenario may have, in order. */
export const COLUMNS = ['a', 'b'] as const;

const TARGET = ((): string => targetId(targetTableId('public.user', ['id']), ['1']) ?? '')();

const PLAIN = { target: TARGET, touches: [], wait: 0, flushAt: 0, replaced: false, repair: false };

function call(text: string, run: Call['run']): Call {
  return { text, run };
}

function byColumn(amounts: Amounts): Map<string, bigint> {
  return new Map(amounts.map((amount, i) => [COLUMNS[i] ?? '', BigInt(amount)]));
}

/** Announces the delta of a transaction. */
export function announce(id: number, amounts: Amounts, recalculateIn: number | null): Call {
  const delta = { ...PLAIN, amounts: byColumn(amounts), recalculateIn };
  return call(`announce ${id} ${amounts.join()} ${recalculateIn}`, async (buffer) => {
    await buffer.announce(0, { id: String(id), deltas: [delta] });
    return null;
  });
}

/** Answers whether the intent was there. */
export function confirm(id: number): Call {
  return call(`confirm ${id}`, async (buffer) => (await buffer.confirm(0, String(id))).found);
}

/** Forgets the intent of a transaction. */
export function discard(id: number): Call {
  return call(`discard ${id}`, async (buffer) => {
    await buffer.discard(0, String(id));
    return null;
  });
}

/** Requests a repair. */
export function requestRepair(barrier: number): Call {
  return call(`request ${barrier}`, async (buffer) => {
    await buffer.requestRepair(0, [TARGET], BigInt(barrier));
    return null;
  });
}

/** Requests a recalculation of what is scheduled, as writes do. */
export const SCHEDULE = call('schedule', async (buffer) => {
  await buffer.add(0, { id: 'outbox', deltas: [{ ...PLAIN, amounts: new Map(), recalculateIn: 0 }] });
  return null;
});

/** Answers the batch, or null. */
export const CLAIM = call('claim', async (buffer) => {
  const { batch }: Claim = await buffer.claim(0, { select: 'dirty', tableIds: null }, 10);
  return batch === null ? null : held({ ...batch, id: NEW_BATCH });
});

/** Answers the batches. */
export const TAKE_OVER = call('take over', async (buffer) => (await buffer.takeOver(0, 0, 10)).map(held));

function held({ id, epoch, entries }: Batch): { readonly [name: string]: Json } {
  const amounts = entries[0]?.amounts ?? new Map<string, bigint>();
  return { id, epoch, amounts: COLUMNS.map((column) => Number(amounts.get(column) ?? 0n)) };
}

/** Ends a batch. */
export function acknowledge(id: string, outcome: Outcome): Call {
  const unapplied: Record<Outcome, readonly Unapplied[]> = {
    applied: [],
    locked: [{ target: TARGET, backoff: 0 }],
    refused: [{ target: TARGET, failed: 'out of range' }],
  };
  return call(`acknowledge ${id} ${outcome}`, async (buffer) => {
    await buffer.acknowledge(0, id, unapplied[outcome]);
    return null;
  });
}

/** Answers how many. */
export const RETRY_FAILED = call('retry failed', async (buffer) => (await buffer.retryFailed(0, null)).count);

/** Answers ids. */
export const STALE_INTENTS = call('stale intents', async (buffer) =>
  (await buffer.staleIntents(0, 0, 10)).map(Number).toSorted((a, b) => a - b),
);

/** Drops intents, and requests a repair behind a barrier. */
export function sweepIntents(ids: readonly number[], barrier: number): Call {
  return call(`sweep ${ids.join()} ${barrier}`, async (buffer) => {
    await buffer.sweepIntents(0, ids.map(String), BigInt(barrier));
    return null;
  });
}

/** Answers whether the target stands behind a barrier, or null when nothing is requested. */
export const DUE_RECALCULATIONS = call('due recalculations', async (buffer) => {
  const [due] = await buffer.dueRecalculations(0, 10);
  return due?.repair ?? null;
});

/** Answers the outcome. */
export function acquire(token: string, horizon: number, plain: boolean): Call {
  return call(`acquire ${token} ${horizon} ${plain}`, async (buffer) => {
    const options = { ttl: LEASE_TTL, horizon: BigInt(horizon), plain };
    return (await buffer.acquireLease(0, token, [TARGET], options))[0] ?? null;
  });
}

/** What a recalculation has read. */
export interface Read {
  /** Per column; of the first ones only. */
  readonly missing: Amounts;
  readonly xmax: number;
  readonly inProgress: readonly number[];
}

/** Why somebody recalculates: it is due, a user asked for it, or a user only wants to compare. */
export type Purpose = 'due' | 'by hand' | 'verify';

/** Ends a lease with what was read under it. */
export function finalize(
  token: string,
  { missing, xmax, inProgress }: Read,
  rearmIn: number | null,
  purpose: Purpose,
): Call {
  const snapshot: Snapshot = {
    xmin: BigInt(Math.min(xmax, ...inProgress)),
    xmax: BigInt(xmax),
    inProgress: inProgress.map(BigInt),
  };
  const recount = { target: TARGET, missing: byColumn(missing), rearmIn };
  const text = `finalize ${token} ${missing.join()} ${xmax} ${inProgress.join()} ${rearmIn} ${purpose}`;
  return call(text, async (buffer) => {
    await buffer.finalize(0, token, snapshot, [recount], { consume: purpose === 'due', dry: purpose === 'verify' });
    return null;
  });
}

/** Answers the epoch, or null. */
export const EPOCH = call('epoch', (buffer) => buffer.epoch(0));

/** Gives the shard an epoch. */
export function raiseEpoch(epoch: number): Call {
  return call(`raise epoch ${epoch}`, async (buffer) => {
    await buffer.raiseEpoch(0, epoch);
    return null;
  });
}

/** Answers how many things the shard holds. */
export const HELD = call('status', async (buffer) => {
  const { dirty, batches, intents, recalculations, failed } = await buffer.status(0);
  return dirty + batches + intents + recalculations + failed.length;
});
