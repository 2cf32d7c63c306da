import type { QueryRunner } from 'typeorm';

import type { ClaimScope } from '../../../model/pending';
import type { Definitions } from '../../../model/definition';
import { type ResultRow, rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';
import { isKnownRow, TABLE_ID, knownNames, notRefused, refusedTargets, waitingIn } from './scope';

/** What waits in the outbox for one shard. */
export interface WaitingShard {
  readonly shard: number;
  /** Something that this process knows. */
  readonly amounts: boolean;
  readonly repairs: boolean;
  /** The database has refused something, in this shard or another. */
  readonly hasRefused: boolean;
  /** What this process does not know; `null` when there is nothing. */
  readonly others: WaitingForOthers | null;
}

/** What waits for processes that know it. */
export interface WaitingForOthers {
  readonly targets: number;
  readonly tableIds: readonly string[];
  /** Milliseconds since the oldest of it was due. */
  readonly overdue: number;
}

const OTHERS = 'NOT x."repair" AND NOT x.known';

/** The shards for which something in scope waits; of all shards, or of one. */
export async function waitingShards(
  runner: QueryRunner,
  tables: TablePaths,
  definitions: Definitions,
  scope: ClaimScope,
  shard: number | null,
): Promise<readonly WaitingShard[]> {
  const parameters: unknown[] = [shard, knownNames(definitions)];
  const waiting = waitingIn(scope, parameters);
  const rows = await rowsOf(
    runner,
    `SELECT w.shard, w.amounts, w.repairs, w.targets, w.table_ids, extract(epoch FROM now() - w.since) * 1000 AS overdue,
       EXISTS (${refusedTargets(tables)}) AS refused FROM (
       SELECT x."shard" AS shard, bool_or(NOT x."repair" AND x.known) AS amounts, bool_or(x."repair") AS repairs,
         count(DISTINCT x."target") FILTER (WHERE ${OTHERS})::int AS targets,
         array_agg(DISTINCT ${TABLE_ID}) FILTER (WHERE ${OTHERS}) AS table_ids, min(x."due") FILTER (WHERE ${OTHERS}) AS since
       FROM (
         SELECT x."shard", x."target", x."due", x."repair", ${isKnownRow('$2::text[]')} AS known FROM ${tables.outbox} x
         WHERE ($1::integer IS NULL OR x."shard" = $1) AND ${waiting} AND (x."repair" OR ${notRefused(tables)}) OFFSET 0
       ) x GROUP BY x."shard"
     ) w ORDER BY w.shard`,
    parameters,
  );
  return rows.map((row) => ({
    shard: Number(row['shard']),
    amounts: row['amounts'] === true,
    repairs: row['repairs'] === true,
    hasRefused: row['refused'] === true,
    others: othersOf(row),
  }));
}

function othersOf(row: ResultRow): WaitingForOthers | null {
  const targets = Number(row['targets']);
  if (targets === 0) return null;
  return { targets, tableIds: row['table_ids'] as readonly string[], overdue: Number(row['overdue']) };
}
