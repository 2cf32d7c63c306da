import type { QueryRunner } from 'typeorm';

import type { TargetTable } from '../../../model/definition';
import { isLockRefused } from '../errors';
import { escapeName } from '../escape';
import { keyArrays, listedKeys, matchesListed } from '../keys';
import { rowsOf } from '../query';
import { undoSavepoint } from '../savepoint';
import { type Hidden, hiddenTables } from '../sight';
import { tableSql } from '../table-names';

/** A row that was not changed, and why. */
export interface Unchanged {
  readonly target: string;
  readonly reason: string;
}

/** Why rows were not there to be changed; those in no list do not exist. */
export interface Unseen {
  /** Another transaction holds the lock. */
  readonly locked: readonly string[];
  readonly unchanged: readonly Unchanged[];
  /** May exist: policies may hide rows. */
  readonly hidden: readonly string[];
  readonly hiddenBy: Hidden | null;
}

const NONE: Unseen = { locked: [], unchanged: [], hidden: [], hiddenBy: null };

const SAVEPOINT = 'counter_cache_unseen';

/** Distinguishes, among rows that `SKIP LOCKED` did not give, the locked ones from those that are hidden, and from those that are gone. */
export async function explainUnseen(
  runner: QueryRunner,
  targetTable: TargetTable,
  targets: readonly string[],
): Promise<Unseen> {
  if (targets.length === 0) return NONE;
  const table = tableSql(targetTable.metadata);
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal, (t.${escapeName(targetTable.keys[0]?.name ?? '')} IS NOT NULL) AS present, (SELECT ${mayMissRowsSql(table)}) AS policed
     FROM ${listedKeys(targetTable.keys.length)} LEFT JOIN ${table} t ON ${matchesListed('t', targetTable.keys)}`,
    keyArrays(targetTable, targets),
  );
  const present = new Set(rows.filter((row) => row['present'] === true).map((row) => Number(row['ordinal'])));
  const seen = targets.filter((_, i) => present.has(i + 1));
  if (!rows.some((row) => row['policed'] === true)) return { ...NONE, locked: seen };
  const hiding = seen.length === targets.length ? null : await hiddenTables(runner, [table]);
  const isHiding = hiding !== null && hiding.tables.length > 0;
  const locked = new Set(await lockedAmong(runner, targetTable, seen));
  const unchangeable = seen.filter((target) => !locked.has(target));
  return {
    locked: [...locked],
    unchanged: unchangeable.map((target) => ({ target, reason: notChangeable(table) })),
    hidden: isHiding ? targets.filter((_, i) => !present.has(i + 1)) : [],
    hiddenBy: isHiding ? hiding : null,
  };
}

/** Those of rows that are seen which another transaction has locked, or had until now: a policy for UPDATE hides the others. */
async function lockedAmong(
  runner: QueryRunner,
  targetTable: TargetTable,
  targets: readonly string[],
): Promise<readonly string[]> {
  if (targets.length === 0) return [];
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  try {
    const free = await lockAtOnce(runner, targetTable, targets);
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    return free;
  } catch (error) {
    if (!isLockRefused(error)) throw error;
    await undoSavepoint(runner, SAVEPOINT);
    if (targets.length === 1) return targets;
    const middle = Math.ceil(targets.length / 2);
    const left = await lockedAmong(runner, targetTable, targets.slice(0, middle));
    return [...left, ...(await lockedAmong(runner, targetTable, targets.slice(middle)))];
  }
}

/** Fails when one of them is locked; returns those that can be. */
async function lockAtOnce(
  runner: QueryRunner,
  targetTable: TargetTable,
  targets: readonly string[],
): Promise<readonly string[]> {
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal FROM ${listedKeys(targetTable.keys.length)}
     JOIN ${tableSql(targetTable.metadata)} t ON ${matchesListed('t', targetTable.keys)} FOR NO KEY UPDATE OF t NOWAIT`,
    keyArrays(targetTable, targets),
  );
  const free = new Set(rows.map((row) => Number(row['ordinal'])));
  return targets.filter((_, i) => free.has(i + 1));
}

function notChangeable(path: string): string {
  return `a policy of ${path} keeps this role from changing the row. Give the worker's role BYPASSRLS, or a policy for UPDATE, then call retryFailed`;
}

/**
 * An SQL expression that says whether rows of a table may exist that this connection does not see: row security is active
 * for its role. Such a row must not be taken for gone (I9). The path is escaped.
 */
function mayMissRowsSql(escapedPath: string): string {
  return `row_security_active('${escapedPath.replaceAll("'", "''")}')`;
}
