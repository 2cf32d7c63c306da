import type { QueryRunner } from 'typeorm';

import type { TablePaths } from '../installation/tables';

/** Deletes rows that were applied, or marks them as applied where they are kept for a while. */
export async function endRows(
  runner: QueryRunner,
  { outbox }: TablePaths,
  ids: readonly string[],
  keep: boolean,
): Promise<void> {
  const sql = keep ? `UPDATE ${outbox} SET "applied_at" = clock_timestamp()` : `DELETE FROM ${outbox}`;
  await runner.query(`${sql} WHERE "id" = ANY($1::bigint[])`, [ids]);
}

/** Makes rows due `backoff` ms from now. */
export async function postponeRows(
  runner: QueryRunner,
  { outbox }: TablePaths,
  ids: readonly string[],
  backoff: number,
): Promise<void> {
  const due = `clock_timestamp() + $2 * interval '1 millisecond'`;
  await runner.query(`UPDATE ${outbox} SET "due" = ${due} WHERE "id" = ANY($1::bigint[])`, [ids, backoff]);
}

/** Parks rows whose target the database refused to change. */
export async function parkRows(
  runner: QueryRunner,
  { outbox }: TablePaths,
  ids: readonly string[],
  reason: string,
): Promise<void> {
  await runner.query(`UPDATE ${outbox} SET "failed" = $2 WHERE "id" = ANY($1::bigint[])`, [ids, reason]);
}

/** Rows forgotten per statement. */
const PURGED = 5_000;

/** Forgets rows applied longer ago than `retention` ms. */
export async function purgeOutbox(runner: QueryRunner, { outbox }: TablePaths, retention: number): Promise<void> {
  const old = `SELECT o."id" FROM ${outbox} o WHERE o."applied_at" < now() - $1 * interval '1 millisecond' LIMIT ${PURGED}`;
  for (;;) {
    const { affected } = await runner.query(`DELETE FROM ${outbox} WHERE "id" IN (${old})`, [retention], true);
    if ((affected ?? 0) < PURGED) return;
  }
}
