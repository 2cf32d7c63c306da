import type { QueryRunner } from 'typeorm';

import type { TargetKind } from '../counter/definition';
import { isLockRefused } from '../dialects/postgres/errors';
import { mayMissRowsSql } from '../dialects/postgres/hidden-rows';
import { escapeName, escapePath } from './escape';
import { keyArrays, listedKeys, matchesListed } from './keys';
import { rowsOf } from './query';
import { undoSavepoint } from './savepoint';

/** A row that was not changed, and why. */
export interface Unchanged {
  readonly target: string;
  readonly reason: string;
}

/** Why rows were not there to be changed; those in neither list do not exist. */
export interface Unseen {
  /** Another transaction holds the lock. */
  readonly locked: readonly string[];
  readonly unchanged: readonly Unchanged[];
}

const SAVEPOINT = 'counter_cache_unseen';

/** Tells, of rows that `SKIP LOCKED` did not give, the locked ones from those that are hidden, and from those that are gone. */
export async function explainUnseen(
  runner: QueryRunner,
  kind: TargetKind,
  targets: readonly string[],
): Promise<Unseen> {
  const path = escapePath(kind.tablePath);
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal, (t.${escapeName(kind.keys[0]?.name ?? '')} IS NOT NULL) AS present, (SELECT ${mayMissRowsSql(path)}) AS hides
     FROM ${listedKeys(kind.keys.length)} LEFT JOIN ${path} t ON ${matchesListed('t', kind.keys)}`,
    keyArrays(kind, targets),
  );
  const present = new Set(rows.filter((row) => row['present'] === true).map((row) => Number(row['ordinal'])));
  const seen = targets.filter((_, i) => present.has(i + 1));
  if (!rows.some((row) => row['hides'] === true)) return { locked: seen, unchanged: [] };
  const hidden = targets.filter((_, i) => !present.has(i + 1)).map((target) => ({ target, reason: notSeen(path) }));
  const locked = new Set(await lockedAmong(runner, kind, seen));
  const unchangeable = seen.filter((target) => !locked.has(target));
  return {
    locked: [...locked],
    unchanged: [...hidden, ...unchangeable.map((target) => ({ target, reason: notChangeable(path) }))],
  };
}

/** Those of rows that are seen which another transaction has locked, or had until now: a policy for UPDATE hides the others. */
async function lockedAmong(
  runner: QueryRunner,
  kind: TargetKind,
  targets: readonly string[],
): Promise<readonly string[]> {
  if (targets.length === 0) return [];
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  try {
    const free = await lockAtOnce(runner, kind, targets);
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    return free;
  } catch (error) {
    if (!isLockRefused(error)) throw error;
    await undoSavepoint(runner, SAVEPOINT);
    if (targets.length === 1) return targets;
    const middle = Math.ceil(targets.length / 2);
    const left = await lockedAmong(runner, kind, targets.slice(0, middle));
    return [...left, ...(await lockedAmong(runner, kind, targets.slice(middle)))];
  }
}

/** Fails when one of them is locked; returns those that can be. */
async function lockAtOnce(
  runner: QueryRunner,
  kind: TargetKind,
  targets: readonly string[],
): Promise<readonly string[]> {
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal FROM ${listedKeys(kind.keys.length)}
     JOIN ${escapePath(kind.tablePath)} t ON ${matchesListed('t', kind.keys)} FOR NO KEY UPDATE OF t NOWAIT`,
    keyArrays(kind, targets),
  );
  const free = new Set(rows.map((row) => Number(row['ordinal'])));
  return targets.filter((_, i) => free.has(i + 1));
}

/** Why nothing can be said of a row that is not seen. */
export function notSeen(path: string): string {
  return `no such row is seen, and row security hides rows of ${path} from this role: it may exist. Give the worker's role BYPASSRLS, or a policy that shows it all rows, then call retryFailed`;
}

function notChangeable(path: string): string {
  return `a policy of ${path} keeps this role from changing the row. Give the worker's role BYPASSRLS, or a policy for UPDATE, then call retryFailed`;
}
