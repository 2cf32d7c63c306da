import type { QueryRunner } from 'typeorm';

import type { BatchEntry, ClaimScope } from '../../buffer/buffer';
import type { Definitions } from '../../counter/definition';
import { kindIdOf } from '../../counter/target';
import { type ResultRow, rowsOf } from '../query';
import type { TablePaths } from '../tables';
import { notRefused, waitingIn } from './scope';

/** What waits for one target, with the rows that hold it. */
export interface WaitingEntry extends BatchEntry {
  readonly ids: readonly string[];
  /** Rows for columns that this process does not know; they are no part of the rest. */
  readonly unknownIds: readonly string[];
  /** The shortest time until a full recalculation; `null` is never. */
  readonly recalculateIn: number | null;
}

/** Rows locked at a time: memory stays bounded, however many rows one target has. */
const ROWS = 50_000;

/**
 * Locks what waits for up to `limit` targets of a shard that are in scope, and adds it up per target. All that waits for
 * such a target is taken, due or not, so that its row is changed at most once per `wait` (I8). Never from a row id on:
 * whoever took an id early may commit late. Rows that somebody else has locked are left to them, and so are the younger
 * rows of a target whose first is locked: they are not due yet.
 */
export async function lockWaiting(
  runner: QueryRunner,
  tables: TablePaths,
  definitions: Definitions,
  shard: number,
  scope: ClaimScope,
  limit: number,
): Promise<{ readonly entries: readonly WaitingEntry[]; readonly more: boolean }> {
  const parameters: unknown[] = [shard, limit];
  const waiting = waitingIn(scope, parameters);
  const rows = await rowsOf(
    runner,
    `WITH t AS MATERIALIZED (
       SELECT x."target", min(x."id") AS first FROM ${tables.outbox} x
       WHERE x."shard" = $1 AND NOT x."heal" AND ${waiting} AND ${notRefused(tables)}
       GROUP BY x."target" ORDER BY min(x."due") LIMIT $2
     ), f AS MATERIALIZED (
       SELECT x."target" FROM ${tables.outbox} x JOIN t ON t.first = x."id" FOR UPDATE OF x SKIP LOCKED
     ), l AS MATERIALIZED (
       SELECT x.* FROM ${tables.outbox} x JOIN f ON f."target" = x."target"
       WHERE x."applied_at" IS NULL AND x."failed" IS NULL AND NOT x."heal"
       ORDER BY x."target", x."id" LIMIT ${ROWS} FOR UPDATE OF x SKIP LOCKED
     )
     SELECT "target", "column", "touches", sum("amount")::text AS amount, array_agg("id")::text[] AS ids,
       max(extract(epoch FROM "written_at") * 1000)::text AS written, min("recalculate_in")::text AS recalculate,
       (SELECT count(*) FROM t)::int AS targets, (SELECT count(*) FROM l)::int AS locked
     FROM l GROUP BY 1, 2, 3 ORDER BY 1, 2`,
    parameters,
  );
  const [first] = rows;
  const more = first !== undefined && (Number(first['targets']) >= limit || Number(first['locked']) >= ROWS);
  return { entries: entriesOf(rows, definitions), more };
}

interface Draft extends WaitingEntry {
  readonly amounts: Map<string, bigint>;
  readonly touches: Map<string, number>;
  readonly ids: string[];
  readonly unknownIds: string[];
  recalculateIn: number | null;
}

function entriesOf(rows: readonly ResultRow[], definitions: Definitions): WaitingEntry[] {
  const entries = new Map<string, Draft>();
  for (const row of rows) {
    const target = String(row['target']);
    const entry: Draft = entries.get(target) ?? {
      target,
      amounts: new Map(),
      touches: new Map(),
      ids: [],
      unknownIds: [],
      recalculateIn: null,
    };
    entries.set(target, entry);
    if (isKnown(definitions, target, row)) addRow(entry, row);
    else for (const id of row['ids'] as readonly string[]) entry.unknownIds.push(id);
  }
  for (const { amounts } of entries.values())
    for (const [column, amount] of amounts) if (amount === 0n) amounts.delete(column);
  return [...entries.values()];
}

/** Column and touches of a row wait together for a process that knows them all. */
function isKnown({ kinds }: Definitions, target: string, { column, touches }: ResultRow): boolean {
  const kind = kinds.get(kindIdOf(target));
  if (kind === undefined || (typeof column === 'string' && !kind.columns.has(column))) return false;
  return (touches as readonly string[]).every((touch) => kind.touches.has(touch));
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
