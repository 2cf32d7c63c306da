import type { QueryRunner } from 'typeorm';

import type { Batch, Unapplied } from '../../../model/pending';
import { CounterCacheError } from '../../../errors';
import { identitySql, identityText } from '../catalogue/identity';
import { rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';

/** Whether a batch may be applied now. */
export type Entry =
  | { readonly status: 'new' }
  | { readonly status: 'applied'; readonly unapplied: readonly Unapplied[] }
  | { readonly status: 'fenced' };

/**
 * Enters a batch into the ledger, inside the transaction that applies it (I3). The shard's epoch is locked against a
 * rise until that transaction ends, so that nothing claimed before a loss is applied after it.
 *
 * @throws CounterCacheError `STATE_MISMATCH` when the library's own tables were emptied
 */
export async function enterBatch(runner: QueryRunner, tables: TablePaths, batch: Batch): Promise<Entry> {
  const parameters: unknown[] = [batch.id, batch.shard, batch.epoch, batch.claimedAt];
  if (tables.database !== null) parameters.push(identityText(tables.database));
  const [fence] = await rowsOf(runner, enterSql(tables), parameters);
  if (fence === undefined) throw new TablesEmptiedError(tables);
  if (fence['entered'] === true) return { status: 'new' };
  if (Number(fence['epoch']) !== batch.epoch) return { status: 'fenced' };
  // In a statement of its own: it has to see what another has committed while this one waited for it.
  const [known] = await rowsOf(runner, `SELECT "unapplied" FROM ${tables.ledger} WHERE "batch" = $1`, [batch.id]);
  if (known !== undefined) return { status: 'applied', unapplied: (known['unapplied'] ?? []) as readonly Unapplied[] };
  return { status: 'fenced' };
}

/**
 * Below the floor the ledger has forgotten: the batch may have been applied already. Nothing is entered, so that the process that
 * takes the batch over finds the same. No other can be applying it: that would hold the floor where it was.
 *
 * Nor in another database than the one that was opened: connections may lead elsewhere since.
 */
function enterSql({ shard, state, ledger, database }: TablePaths): string {
  const isHere = database === null ? '' : ` AND ${identitySql(database)} = $5`;
  return `
    WITH fence AS MATERIALIZED (
      SELECT s."epoch", f."value" AS "floor" FROM ${shard} s, ${state} f
      WHERE s."shard" = $2 AND f."id" = 'ledger_floor' FOR SHARE
    ), entered AS (
      INSERT INTO ${ledger} ("batch", "shard")
      SELECT $1, $2 FROM fence WHERE "epoch" = $3 AND "floor"::numeric <= $4${isHere}
      ON CONFLICT DO NOTHING RETURNING "batch"
    )
    SELECT "epoch", EXISTS (SELECT FROM entered) AS "entered" FROM fence`;
}

/** Notes which targets of a batch were not applied; the acknowledgement gives exactly those back. */
export async function noteUnapplied(
  runner: QueryRunner,
  tables: TablePaths,
  batch: string,
  unapplied: readonly Unapplied[],
): Promise<void> {
  await runner.query(`UPDATE ${tables.ledger} SET "unapplied" = $2::jsonb WHERE "batch" = $1`, [
    batch,
    JSON.stringify(unapplied),
  ]);
}

/** Batches forgotten per statement. */
const PURGED = 5_000;

/**
 * Forgets batches applied longer ago than `retention` ms, raising the floor first, in a transaction of its own: applies
 * wait for that row only a moment.
 */
export async function purgeLedger(runner: QueryRunner, tables: TablePaths, retention: number): Promise<void> {
  const old = `SELECT l."batch" FROM ${tables.ledger} l WHERE l."applied_at" < $1::timestamptz`;
  const [cutoff] = await rowsOf(runner, `SELECT (CURRENT_TIMESTAMP - $1 * interval '1 millisecond')::text AS "at"`, [
    retention,
  ]);
  const [any] = await rowsOf(runner, `${old} LIMIT 1`, [cutoff?.['at']]);
  if (any === undefined) return;
  // The floor lies above everything purged: a batch is claimed before it is applied.
  await runner.query(
    `UPDATE ${tables.state} SET "value" = GREATEST("value"::numeric, floor(extract(epoch FROM $1::timestamptz) * 1000))::text WHERE "id" = 'ledger_floor'`,
    [cutoff?.['at']],
  );
  for (;;) {
    const rows = await rowsOf(
      runner,
      `DELETE FROM ${tables.ledger} WHERE "batch" IN (${old} ORDER BY l."applied_at" LIMIT ${PURGED}) RETURNING "batch"`,
      [cutoff?.['at']],
    );
    if (rows.length < PURGED) return;
  }
}

/** Those of some batches that are applied, with what of each was not: batch → target. */
export type AppliedBatches = ReadonlyMap<string, ReadonlyMap<string, Unapplied>>;

/** What {@link parseApplied} reads: those of these batches that are applied. */
export function appliedBatchesSql(tables: TablePaths, parameter: string): string {
  return `(SELECT jsonb_object_agg(l."batch", COALESCE(l."unapplied", '[]')) FROM ${tables.ledger} l WHERE l."batch" = ANY(${parameter}::uuid[]))`;
}

export function parseApplied(value: unknown): AppliedBatches {
  const applied = Object.entries((value ?? {}) as Record<string, readonly Unapplied[]>);
  return new Map(applied.map(([batch, unapplied]) => [batch, new Map(unapplied.map((row) => [row.target, row]))]));
}

/** The library's own tables have lost the rows without which nothing can be applied. */
export class TablesEmptiedError extends CounterCacheError {
  constructor({ shard, state }: TablePaths) {
    const found = `expected a row of this shard in ${shard}, and one of 'ledger_floor' in ${state}, got: none`;
    const advice = 'This process recreates them, and has all targets recounted. Leave these tables alone';
    super('STATE_MISMATCH', `${found}: the tables were emptied. ${advice}`, { shard, state });
  }
}
