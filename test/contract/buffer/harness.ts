import type { DeltaBuffer, Intent, Recount } from '../../../src/engines/buffered/buffer';
import type { Batch, Snapshot, TargetDelta } from '../../../src/model/pending';
import { targetTableId, targetId } from '../../../src/model/target';

/** A buffer under test, empty and on its own. */
export interface BufferSetup {
  readonly buffer: DeltaBuffer;
  /** Removes what the buffer left behind. */
  cleanup(): Promise<void>;
}

export type CreateBuffer = (options: { readonly shards: number; readonly window: number }) => Promise<BufferSetup>;

/** Opens a buffer, with an epoch in every shard unless told otherwise; it is removed after the test. */
export type OpenBuffer = (options?: {
  readonly shards?: number;
  readonly window?: number;
  readonly epoch?: number | null;
}) => Promise<DeltaBuffer>;

/** Ms; small, so that what is due at a window's end is due soon. */
export const WINDOW = 10;

export function buffersOf(create: CreateBuffer): OpenBuffer {
  const opened: BufferSetup[] = [];
  afterEach(async () => {
    for (const setup of opened.splice(0)) await setup.cleanup();
  });
  return async ({ shards = 1, window = WINDOW, epoch = 1 } = {}) => {
    const setup = await create({ shards, window });
    opened.push(setup);
    if (epoch === null) return setup.buffer;
    for (let shard = 0; shard < shards; shard++) await setup.buffer.raiseEpoch(shard, epoch);
    return setup.buffer;
  };
}

export const USERS = targetTableId('public.user', ['id']);
export const STORES = targetTableId('public.store', ['id']);

/** Id of a row of a kind; of a user when only the key is given. */
export function row(key: string | number, kind = USERS): string {
  const id = targetId(kind, [String(key)]);
  if (id === null) throw new Error('a key is never NULL here');
  return id;
}

type Amounts = Readonly<Record<string, bigint | number>>;

export function amounts(of: Amounts): Map<string, bigint> {
  return new Map(Object.entries(of).map(([column, amount]) => [column, BigInt(amount)]));
}

/** One delta that is due in a minute, unless told otherwise. */
export function delta(target: string, of: Amounts, options: Partial<TargetDelta> = {}): TargetDelta {
  const rest = { touches: [], wait: 60_000, flushAt: 0, recalculateIn: null, replaced: false, repair: false };
  return { target, amounts: amounts(of), ...rest, ...options };
}

export function intent(id: string, ...deltas: TargetDelta[]): Intent {
  return { id, deltas };
}

/** Pending per column, without zeros. */
export async function pendingOf(buffer: DeltaBuffer, target: string): Promise<Record<string, bigint>> {
  const { held } = await buffer.read(0, [target]);
  return plain(held[0]?.pending ?? new Map());
}

/** Claimed per batch and column. */
export async function claimedOf(buffer: DeltaBuffer, target: string): Promise<Record<string, Record<string, bigint>>> {
  const { held } = await buffer.read(0, [target]);
  return Object.fromEntries((held[0]?.claims ?? []).map(({ batch, amounts: of }) => [batch, plain(of)]));
}

export function plain(of: ReadonlyMap<string, bigint>): Record<string, bigint> {
  return Object.fromEntries([...of].filter(([, amount]) => amount !== 0n));
}

/** Claims everything that is dirty; there must be something. */
export async function claimAll(buffer: DeltaBuffer, shard = 0): Promise<Batch> {
  const { batch } = await buffer.claim(shard, { select: 'dirty', tableIds: null }, 1_000);
  if (batch === null) throw new Error('there was nothing to claim');
  return batch;
}

/** Target → amounts of a batch. */
export function contents(batch: Batch | null): Record<string, Record<string, bigint>> {
  return Object.fromEntries((batch?.entries ?? []).map(({ target, amounts: of }) => [target, plain(of)]));
}

/** A snapshot that sees every transaction below `xmax` but those in progress. */
export function snapshot(xmax: number, ...inProgress: number[]): Snapshot {
  return { xmin: BigInt(Math.min(xmax, ...inProgress)), xmax: BigInt(xmax), inProgress: inProgress.map(BigInt) };
}

/** Sees everything. */
export const LATE = snapshot(1_000_000);
/** Sees nothing. */
export const EARLY = snapshot(1);

/** Leases that last as long as a test, with no transaction open below the horizon. */
export const LEASE = { ttl: 60_000, horizon: 1_000_000n };
export const CONSUME = { consume: true, dry: false };
export const DRY = { consume: true, dry: true };

export function recount(target: string, missing: Amounts | null, rearmIn: number | null = null): Recount {
  return { target, missing: missing === null ? null : amounts(missing), rearmIn };
}

export const MAX = 2n ** 63n - 1n;
export const MIN = -(2n ** 63n);

/** The only element. */
export function only<T>(list: readonly T[]): T {
  expect(list).toHaveLength(1);
  return list[0] as T;
}
