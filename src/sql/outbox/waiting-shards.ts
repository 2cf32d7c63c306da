import type { QueryRunner } from 'typeorm';

import type { ClaimScope } from '../../buffer/buffer';
import { rowsOf } from '../query';
import type { TablePaths } from '../tables';
import { notRefused, waitingIn } from './scope';

/** What waits in the outbox for one shard. */
export interface WaitingShard {
  readonly shard: number;
  readonly amounts: boolean;
  readonly heals: boolean;
}

/** The shards for which something in scope waits; of all shards, or of one. */
export async function waitingShards(
  runner: QueryRunner,
  tables: TablePaths,
  scope: ClaimScope,
  shard: number | null,
): Promise<readonly WaitingShard[]> {
  const parameters: unknown[] = [shard];
  const waiting = waitingIn(scope, parameters);
  const any = (heal: string) =>
    `EXISTS (SELECT 1 FROM ${tables.outbox} x WHERE x."shard" = s."shard" AND ${heal} AND ${waiting})`;
  const rows = await rowsOf(
    runner,
    `SELECT w.shard, w.amounts, w.heals FROM (
       SELECT s."shard" AS shard, ${any(`NOT x."heal" AND ${notRefused(tables)}`)} AS amounts, ${any('x."heal"')} AS heals
       FROM ${tables.shard} s WHERE $1::integer IS NULL OR s."shard" = $1
     ) w WHERE w.amounts OR w.heals ORDER BY w.shard`,
    parameters,
  );
  return rows.map((row) => ({
    shard: Number(row['shard']),
    amounts: row['amounts'] === true,
    heals: row['heals'] === true,
  }));
}
