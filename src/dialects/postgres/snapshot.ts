import type { QueryRunner } from 'typeorm';

import type { Snapshot } from '../../model/pending';
import { rowsOf } from './query';

/** Parses PostgreSQL's `pg_snapshot` text, `xmin:xmax:xip,…`. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin = '0', xmax = '0', inProgress = ''] = text.split(':');
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    inProgress: inProgress === '' ? [] : inProgress.split(',').map(BigInt),
  };
}

/** The oldest transaction that is still open. */
export async function readHorizon(runner: QueryRunner): Promise<bigint> {
  const [row] = await rowsOf(runner, 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "xmin"');
  return BigInt(String(row?.['xmin']));
}

/** The id of the transaction that the query runner is in. */
export async function transactionIdOf(runner: QueryRunner): Promise<string> {
  const [row] = await rowsOf(runner, 'SELECT pg_current_xact_id()::text AS "xid"');
  return String(row?.['xid']);
}

/**
 * A transaction id above those of all transactions open now. It has to be allocated: `pg_snapshot_xmax` is one above
 * the latest *completed* transaction, and may be below some that are open.
 */
export async function allocateBarrier(runner: QueryRunner): Promise<bigint> {
  return BigInt(await transactionIdOf(runner));
}

/**
 * Whether a transaction is open that began before `barrier`, and none that writes is open in this database: those of other
 * databases of the server hold up repairs as well, but wait for no transaction here.
 */
export async function isHeldUpElsewhere(runner: QueryRunner, barrier: bigint): Promise<boolean> {
  const [row] = await rowsOf(
    runner,
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric <= $1 AND NOT EXISTS (
       SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
     ) AS "isHeldUp"`,
    [barrier.toString()],
  );
  return row?.['isHeldUp'] === true;
}
