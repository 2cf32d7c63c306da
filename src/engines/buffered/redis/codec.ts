import { decodeColumn, encodeColumn } from '../../../model/target';
import type { Finalized, Known, LeftForOthers, Recount } from '../buffer';
import type { WakeUp, Batch, BatchEntry, TargetDelta, Unapplied } from '../../../model/pending';

/** Lua's cjson cannot tell an empty array from an empty object. */
type LuaArray<T> = readonly T[] | Readonly<Record<string, never>>;

function array<T>(value: LuaArray<T>): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [];
}

function* pairs<A, B>(flat: readonly unknown[]): Generator<[A, B]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] as A, flat[i + 1] as B];
}

/** What `intents` holds, and `add` takes. */
export function encodeDeltas(deltas: readonly TargetDelta[]): string {
  return JSON.stringify(
    deltas.map((delta) => [
      delta.target,
      delta.wait,
      delta.flushAt,
      delta.recalculateIn ?? -1,
      [...delta.amounts].flatMap(([column, amount]) => [encodeColumn(column), amount.toString()]),
      delta.touches.map(encodeColumn),
      delta.replaced ? 1 : 0,
    ]),
  );
}

/** Column and amount pairs, as `pending` and `batches` hold them. */
export function decodeAmounts(flat: LuaArray<string>): Map<string, bigint> {
  return new Map(
    [...pairs<string, string>(array(flat))].map(([column, amount]) => [decodeColumn(column), BigInt(amount)]),
  );
}

type StoredBatch = readonly [
  epoch: number,
  claimedAt: number,
  entries: LuaArray<string>,
  tableIds: Readonly<Record<string, string>>,
];

/** What `batches` holds. */
export function decodeBatch(id: string, shard: number, json: string): Batch {
  const [epoch, claimedAt, entries, tableIds] = JSON.parse(json) as StoredBatch;
  // Most targets change alike.
  const known = new Map<string, Changes>();
  const changesOf = (text: string): Changes => {
    const changes = known.get(text) ?? decodeChanges(text);
    known.set(text, changes);
    return changes;
  };
  const decoded = [...pairs<string, string>(array(entries))].map(([target, text]): BatchEntry => ({
    target: outerTarget(target, tableIds),
    ...changesOf(text),
  }));
  return { id, shard, epoch, claimedAt, entries: decoded };
}

/** A target as the world names it, from its name in the shard's keys: `<code of its table>:<key values>`. */
function outerTarget(target: string, tableIds: StoredBatch[3]): string {
  const at = target.indexOf(':');
  return `${tableIds[target.slice(0, at)]}${target.slice(at)}`;
}

type Changes = Pick<BatchEntry, 'amounts' | 'touches'>;

/** `<column>/<amount>/@<column>/<touch ms>…` */
function decodeChanges(text: string): Changes {
  const amounts = new Map<string, bigint>();
  const touches = new Map<string, number>();
  for (const [column, value] of pairs<string, string>(text.split('/'))) {
    if (column.startsWith('@')) touches.set(decodeColumn(column.slice(1)), Number(value));
    else amounts.set(decodeColumn(column), BigInt(value));
  }
  return { amounts, touches };
}

/** What `claim` takes: the columns and touches of each target table; empty for all. */
export function encodeKnown(known: Known | undefined): string {
  if (known === undefined) return '';
  const tableIds = [...known].map(([tableId, { columns, touches }]) => [
    tableId,
    [...[...columns.keys()].map(encodeColumn), ...[...touches.keys()].map((touch) => `@${encodeColumn(touch)}`)],
  ]);
  return JSON.stringify(Object.fromEntries(tableIds));
}

/** What `claim` returns of what it left. */
export type LeftReply = readonly [
  targets: number,
  inBatch: readonly string[],
  since: number | null,
  tableIds: readonly string[],
  arePutOff: number,
];

/** What a claim left for others. */
export function decodeLeft(reply: LeftReply | undefined): LeftForOthers | null {
  if (reply === undefined) return null;
  const [targets, inBatch, since, tableIds, arePutOff] = reply;
  return targets === 0 ? null : { targets, inBatch, since: since ?? 0, tableIds, arePutOff: arePutOff === 1 };
}

/** What `acknowledge` takes: what of a batch was not applied. */
export function encodeUnapplied(unapplied: readonly Unapplied[]): string {
  return JSON.stringify(
    unapplied.map((row) => {
      if ('failed' in row) return [row.target, -1, row.failed];
      return [row.target, row.backoff, ...(row.columns === undefined ? [] : [row.columns.map(encodeColumn)])];
    }),
  );
}

/** What `finalize` takes: what each target lacks. */
export function encodeRecounts(recounts: readonly Recount[]): string {
  return JSON.stringify(
    recounts.map(({ target, missing, rearmIn }) => [
      target,
      missing === null ? 0 : 1,
      rearmIn ?? -1,
      [...(missing ?? [])].flatMap(([column, amount]) => [encodeColumn(column), amount.toString()]),
    ]),
  );
}

/** `[standing, [[before, [unseen…], [absorbed…]] per recounted column]]` */
type StoredOutcome = readonly [number, readonly (readonly [string, readonly string[], readonly string[]])[]];

/** What `finalize` says of each target, in the order of the recounts. */
export function decodeOutcomes(recounts: readonly Recount[], outcomes: readonly StoredOutcome[]): Finalized[] {
  return recounts.map(({ target, missing }, i) => {
    const [standing, known] = outcomes[i] ?? [0, []];
    const columns = [...(missing?.keys() ?? [])];
    const sums = known.map(
      ([before, unseen, absorbed], at) => [columns[at] ?? '', BigInt(before) - sum(unseen) + sum(absorbed)] as const,
    );
    return { target, standing: standing === 1, known: new Map(sums) };
  });
}

function sum(amounts: readonly string[]): bigint {
  return amounts.reduce((total, amount) => total + BigInt(amount), 0n);
}

/** What every function that moves a due time returns: Redis' clock and times of wake-ups, ms. */
export type TimesReply = readonly [now: number, reconcile: readonly number[], recalculate: readonly number[]];

/** The wake-ups to set, from a {@link TimesReply}. */
export function decodeWakeUps(shard: number, ...[now, reconcile, recalculate]: TimesReply): WakeUp[] {
  const wakeUp = (kind: WakeUp['kind']) => (at: number) => ({ kind, shard, at, delay: at - now });
  return [...reconcile.map(wakeUp('reconcile')), ...recalculate.map(wakeUp('recalculate'))];
}
