import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';

/** What waits in the outbox. */
export interface OutboxStatus {
  /** Targets with a delta, or a request for a recalculation, that waits and was not refused. */
  readonly dirty: number;
  /** When the oldest of those is due, ms since the epoch by the database's clock; `null` when there is none. */
  readonly oldestDue: number | null;
  readonly failed: readonly { readonly target: string; readonly reason: string }[];
}

/** Reads what waits, by target. */
export async function outboxStatus(runner: QueryRunner, { outbox }: TablePaths): Promise<OutboxStatus> {
  const rows = await rowsOf(
    runner,
    `SELECT "target", max("failed") AS failed, (extract(epoch FROM min("due")) * 1000)::text AS due
     FROM ${outbox} WHERE "applied_at" IS NULL GROUP BY "target" ORDER BY "target"`,
  );
  const waiting = rows.filter((row) => row['failed'] === null);
  const dues = waiting.map((row) => Number(row['due']));
  return {
    dirty: waiting.length,
    oldestDue: dues.length === 0 ? null : dues.reduce((least, due) => Math.min(least, due)),
    failed: rows
      .filter((row) => row['failed'] !== null)
      .map((row) => ({ target: String(row['target']), reason: String(row['failed']) })),
  };
}
