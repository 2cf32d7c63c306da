import type { QueryRunner } from 'typeorm';

import { identitySql } from '../catalogue/identity';
import { isInsufficientPrivilege } from '../privilege-error';
import { rowsOf } from '../query';
import type { TablePaths } from './tables';

/** One process of an installation: `counters` that were attached. */
export interface ProcessSelf {
  readonly id: string;
  /** Milliseconds between two signs of life. */
  readonly interval: number;
}

/** Rows by which processes say that they live; JSON. */
const PROCESS = 'process:';

/** Intervals without a sign after which a process is taken to be gone. */
const SILENT_INTERVALS = 4;

const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)';

/** A condition on rows of processes: they have shown a sign lately. */
const IS_ALIVE = `(p."value"::jsonb ->> 'seen')::numeric + ${SILENT_INTERVALS} * (p."value"::jsonb ->> 'interval')::numeric > ${NOW}`;

/** The statement that says that this process lives, and saw this token; `from` is what has to be there for it. */
export function aliveSql(
  { state }: TablePaths,
  { id, interval }: ProcessSelf,
  token: string | null,
  bind: (value: unknown) => string,
  from: string,
): string {
  const said = `jsonb_build_object('seen', ${NOW}, 'interval', ${bind(interval)}::bigint, 'token', ${bind(token)})::text`;
  return `INSERT INTO ${state} ("id", "value") SELECT '${PROCESS}' || ${bind(id)}, ${said} ${from}
    ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value"`;
}

/** Says that this process lives, and saw this token in the Redis that it uses. */
export async function sayAlive(
  runner: QueryRunner,
  tables: TablePaths,
  self: ProcessSelf,
  token: string,
): Promise<void> {
  const parameters: unknown[] = [];
  await runner.query(
    aliveSql(tables, self, token, (value) => `$${parameters.push(value)}::text`, ''),
    parameters,
  );
}

/** How many other processes live and see this token in their Redis. */
export async function countOthers(
  runner: QueryRunner,
  { state }: TablePaths,
  { id }: ProcessSelf,
  token: string,
): Promise<number> {
  const [row] = await rowsOf(
    runner,
    `SELECT count(*)::int AS n FROM ${state} p WHERE starts_with(p."id", '${PROCESS}') AND p."id" <> '${PROCESS}' || $1::text
     AND p."value"::jsonb ->> 'token' = $2 AND ${IS_ALIVE}`,
    [id, token],
  );
  return Number(row?.['n'] ?? 0);
}

/** This process ends. Where it may not delete from this table, it leaves a line that a worker's sweep deletes. */
export async function sayGone(runner: QueryRunner, { state }: TablePaths, { id }: ProcessSelf): Promise<void> {
  const own = `WHERE "id" = '${PROCESS}' || $1::text`;
  try {
    await runner.query(`DELETE FROM ${state} ${own}`, [id]);
  } catch (error) {
    if (!isInsufficientPrivilege(error)) throw error;
    await runner.query(`UPDATE ${state} SET "value" = jsonb_set("value"::jsonb, '{seen}', '0')::text ${own}`, [id]);
  }
}

/** Forgets processes that ended without saying so. */
export async function forgetSilent(runner: QueryRunner, { state }: TablePaths): Promise<void> {
  await runner.query(`DELETE FROM ${state} p WHERE starts_with(p."id", '${PROCESS}') AND NOT (${IS_ALIVE})`);
}

/** The installation, and the database, that connections lead to by now. */
export async function whereAmI(
  runner: QueryRunner,
  { state, database }: TablePaths,
): Promise<{ readonly installation: string; readonly database: string }> {
  const sql = database === null ? `''` : identitySql(database);
  const [row] = await rowsOf(
    runner,
    `SELECT ${sql} AS database, (SELECT "value" FROM ${state} WHERE "id" = 'installation') AS installation`,
  );
  return { installation: String(row?.['installation']), database: String(row?.['database']) };
}
