import type { QueryRunner } from 'typeorm';

import type { ClaimScope } from '../../../model/pending';
import { rowsOf } from '../query';
import type { TablePaths } from '../installation/tables';
import { waitingIn } from './scope';

/** Deletes up to `limit` rows of a shard that ask for a repair; returns their targets. */
export async function takeRepairs(
  runner: QueryRunner,
  { outbox }: TablePaths,
  shard: number,
  scope: ClaimScope,
  limit: number,
): Promise<readonly string[]> {
  const parameters: unknown[] = [shard, limit];
  const waiting = waitingIn(scope, parameters);
  const rows = await rowsOf(
    runner,
    `WITH l AS MATERIALIZED (
       SELECT x."id" FROM ${outbox} x WHERE x."shard" = $1 AND x."repair" AND ${waiting}
       ORDER BY x."due" LIMIT $2 FOR UPDATE SKIP LOCKED
     )
     DELETE FROM ${outbox} o USING l WHERE o."id" = l."id" RETURNING o."target"`,
    parameters,
  );
  return rows.map((row) => String(row['target']));
}
