import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';

/** Those of some targets for which something waits in the outbox that the database has refused, and why. */
export async function refusedTargets(
  runner: QueryRunner,
  { outbox }: TablePaths,
  targets: readonly string[],
): Promise<readonly { readonly target: string; readonly reason: string }[]> {
  const rows = await rowsOf(
    runner,
    `SELECT "target", max("failed") AS reason FROM ${outbox}
     WHERE "applied_at" IS NULL AND "failed" IS NOT NULL AND "target" = ANY($1::text[]) GROUP BY "target"`,
    [targets],
  );
  return rows.map((row) => ({ target: String(row['target']), reason: String(row['reason']) }));
}
