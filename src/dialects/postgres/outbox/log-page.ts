import type { QueryRunner } from 'typeorm';

import { type ResultRow, rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';
import { ofTables } from './scope';

/** Which rows of the outbox to list. */
export interface LogFilter {
  /** Ids of target tables; `null` is all. */
  readonly tableIds: readonly string[] | null;
  /** `null` is all. */
  readonly targets: readonly string[] | null;
}

/** A change of one column, as it was written to the outbox. */
export interface LoggedChange {
  readonly id: string;
  readonly target: string;
  readonly column: string;
  /** Units of 10^-scale of the column. */
  readonly amount: bigint;
  readonly writtenAt: Date;
  readonly appliedAt: Date | null;
  readonly failed: string | null;
}

/** One page of changes, in the order in which they were written, after the row `after`. */
export async function logPage(
  runner: QueryRunner,
  { outbox }: TablePaths,
  { tableIds, targets }: LogFilter,
  after: string,
  limit: number,
): Promise<readonly LoggedChange[]> {
  const rows = await rowsOf(
    runner,
    `SELECT x."id"::text AS id, x."target", x."column", x."amount"::text AS amount, x."written_at", x."applied_at", x."failed"
     FROM ${outbox} x WHERE x."id" > $1 AND x."column" IS NOT NULL
       AND ($2::text[] IS NULL OR ${ofTables('$2')}) AND ($3::text[] IS NULL OR x."target" = ANY($3::text[]))
     ORDER BY x."id" LIMIT $4`,
    [after, tableIds, targets, limit],
  );
  return rows.map(changeOf);
}

function changeOf(row: ResultRow): LoggedChange {
  return {
    id: String(row['id']),
    target: String(row['target']),
    column: String(row['column']),
    amount: BigInt(String(row['amount'])),
    writtenAt: row['written_at'] as Date,
    appliedAt: row['applied_at'] as Date | null,
    failed: row['failed'] as string | null,
  };
}
