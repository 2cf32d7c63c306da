import type { QueryRunner } from 'typeorm';

import type { BatchEntry, ClaimScope } from '../../../model/pending';
import type { Definitions } from '../../../model/definition';
import { type ResultRow, rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';
import { isKnownRow, knownNames, notRefused, waitingIn } from './scope';

/** What waits for one target, with the rows that hold it. */
export interface WaitingEntry extends BatchEntry {
  readonly ids: readonly string[];
  /** The shortest time until a full recalculation; `null` is never. */
  readonly recalculateIn: number | null;
  /** More waits for it, which this process does not know; looked for only when that is asked for. */
  readonly hasOthers: boolean;
}

/** Rows looked at per target wanted, in the order in which they are due: many targets have more than one. */
const LOOKED_AT = 10;

/** Rows locked at a time: memory stays bounded, however many rows one target has. */
const ROWS = 50_000;

/** Which rows to lock. */
export interface LockOptions {
  readonly shard: number;
  readonly scope: ClaimScope;
  /** Targets. */
  readonly limit: number;
  /** Something waits in the shard that this process does not know: which targets that is, is looked for as well. */
  readonly findOthers: boolean;
  /** The database has refused something in the outbox: what came later for the same target is passed over. */
  readonly hasRefused: boolean;
}

/**
 * Locks what waits, and this process knows, for up to `limit` targets of a shard that are in scope, and adds it up per
 * target. All that waits for such a target is taken, due or not, so that its row is changed at most once per `wait` (I8).
 * Never from a row id on: a transaction that took an id early may commit late. Rows that another transaction has locked are left to it, and
 * so are all others of a target whose first to be due is locked.
 */
export async function lockWaiting(
  runner: QueryRunner,
  tables: TablePaths,
  definitions: Definitions,
  options: LockOptions,
): Promise<{ readonly entries: readonly WaitingEntry[]; readonly more: boolean }> {
  const { shard, scope, limit } = options;
  const parameters: unknown[] = [shard, limit, knownNames(definitions)];
  const rows = await rowsOf(runner, lockSql(tables, waitingIn(scope, parameters), options), parameters);
  const [first] = rows;
  const reached = (count: string, min: number): boolean => Number(first?.[count] ?? 0) >= min;
  const more = reached('targets', limit) || reached('looked_at', LOOKED_AT * limit) || reached('locked', ROWS);
  return { entries: entriesOf(rows), more };
}

/**
 * The planner's statistics of a queue are always old, or missing: it takes any condition for one that a handful of rows meet,
 * and then any index for as good as another. So no plan depends on them. Each target, and each first row, is looked up by
 * itself, since a LATERAL that locks is joined in no other way; and rows of one target are asked for in words that fit the
 * index of targets only.
 */
function lockSql(tables: TablePaths, waiting: string, { findOthers, hasRefused }: LockOptions): string {
  const { outbox } = tables;
  const isKnown = isKnownRow('$3::text[]');
  const ofTarget = (target: string) => `x."target" = ${target} AND x."applied_at" IS NULL`;
  const passedOver = hasRefused ? ` AND ${notRefused(tables)}` : '';
  const open = 'num_nulls(x."failed") = 1 AND x."repair" IS NOT TRUE';
  const others = findOthers
    ? `EXISTS (SELECT FROM ${outbox} x WHERE ${ofTarget('l."target"')} AND ${open} AND NOT ${isKnown})`
    : 'false';
  return `
    WITH t AS MATERIALIZED (
      SELECT w."target", (array_agg(w."id" ORDER BY w."due", w."id"))[1] AS first, sum(count(*)) OVER () AS looked_at FROM (
        SELECT x."id", x."target", x."due" FROM ${outbox} x
        WHERE x."shard" = $1 AND NOT x."repair" AND ${waiting} AND ${isKnown}${passedOver}
        ORDER BY x."due" LIMIT ${LOOKED_AT} * $2::integer
      ) w GROUP BY 1 ORDER BY min(w."due") LIMIT $2
    ), f AS MATERIALIZED (
      SELECT t."target" FROM t, LATERAL (SELECT FROM ${outbox} x WHERE x."id" = t.first FOR UPDATE OF x SKIP LOCKED) x
    ), l AS MATERIALIZED (
      SELECT f."target", x.* FROM f, LATERAL (
        SELECT x."id", x."column", x."touches", x."amount", x."written_at", x."recalculate_in" FROM ${outbox} x
        WHERE ${ofTarget('f."target"')} AND ${open} AND ${isKnown} ORDER BY x."id" + 0 FOR UPDATE OF x SKIP LOCKED
      ) x LIMIT ${ROWS}
    )
    SELECT l."target", l."column", l."touches", sum(l."amount")::text AS amount, array_agg(l."id")::text[] AS ids,
      max(extract(epoch FROM l."written_at") * 1000)::text AS written, min(l."recalculate_in")::text AS recalculate,
      ${others} AS others, (SELECT max(t.looked_at) FROM t)::int AS looked_at, (SELECT count(*) FROM t)::int AS targets, (SELECT count(*) FROM l)::int AS locked
    FROM l GROUP BY 1, 2, 3 ORDER BY 1, 2`;
}

interface Draft extends WaitingEntry {
  readonly amounts: Map<string, bigint>;
  readonly touches: Map<string, number>;
  readonly ids: string[];
  recalculateIn: number | null;
}

function entriesOf(rows: readonly ResultRow[]): WaitingEntry[] {
  const entries = new Map<string, Draft>();
  for (const row of rows) {
    const target = String(row['target']);
    const entry: Draft = entries.get(target) ?? {
      target,
      amounts: new Map(),
      touches: new Map(),
      ids: [],
      recalculateIn: null,
      hasOthers: row['others'] === true,
    };
    entries.set(target, entry);
    addRow(entry, row);
  }
  for (const { amounts } of entries.values())
    for (const [column, amount] of amounts) if (amount === 0n) amounts.delete(column);
  return [...entries.values()];
}

function addRow(entry: Draft, row: ResultRow): void {
  const { amounts, touches, ids } = entry;
  const { column, recalculate } = row;
  if (typeof column === 'string') amounts.set(column, (amounts.get(column) ?? 0n) + BigInt(String(row['amount'])));
  for (const touch of row['touches'] as readonly string[])
    touches.set(touch, Math.max(touches.get(touch) ?? 0, Number(row['written'])));
  for (const id of row['ids'] as readonly string[]) ids.push(id);
  if (recalculate !== null) entry.recalculateIn = Math.min(entry.recalculateIn ?? Infinity, Number(recalculate));
}
