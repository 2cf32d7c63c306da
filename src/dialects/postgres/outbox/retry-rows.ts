import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';

/** Makes refused rows of some targets due again `delay` ms from now; returns those targets that had any. */
export async function retryRows(
  runner: QueryRunner,
  { outbox }: TablePaths,
  targets: readonly string[],
  delay: number,
): Promise<readonly string[]> {
  const rows = await rowsOf(
    runner,
    `WITH r AS (
       UPDATE ${outbox} SET "failed" = NULL, "due" = clock_timestamp() + $2 * interval '1 millisecond'
       WHERE "applied_at" IS NULL AND "failed" IS NOT NULL AND "target" = ANY($1::text[])
       RETURNING "target"
     ) SELECT DISTINCT "target" FROM r`,
    [targets, delay],
  );
  return rows.map((row) => String(row['target']));
}
