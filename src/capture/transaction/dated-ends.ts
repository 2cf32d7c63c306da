import type { DataSource, QueryRunner } from 'typeorm';

import type { PathStep, TargetTable } from '../../model/definition';
import { CounterCacheError } from '../../errors';
import { targetId } from '../../model/target';
import { isLockRefused } from '../../dialects/postgres/errors';
import { withTransaction } from '../../dialects/postgres/query';
import { besidePool } from '../../dialects/postgres/side-connection';
import { followPath, type KeyTexts } from '../../dialects/postgres/counting/follow-path';

/**
 * Where a path led in a snapshot that outlives its statement. An intermediate row may have moved since, and its targets may
 * have been recounted, out of the transaction's sight.
 */
export interface DatedEnd {
  readonly targetTable: TargetTable;
  readonly steps: readonly PathStep[];
  /** Of the path's first row. */
  readonly key: KeyTexts;
  /** Of the target; `null` when the path led nowhere. */
  readonly end: KeyTexts | null;
}

/** How long a lock on a table of a path is waited for, ms: the transaction that waits for this may hold it. */
const LOCK_TIMEOUT = 5_000;

/**
 * See {@link recheckEnds}; on the connection beside the pool: each of the pool's may be held by a transaction that waits for this.
 *
 * @throws CounterCacheError (`WRITE_FAILED`) when a table is locked for 5 s
 */
export function recheckBeside(dataSource: DataSource, ends: readonly DatedEnd[]): Promise<readonly string[]> {
  return besidePool('urgent', () =>
    withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
      await runner.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT}`);
      return recheckEnds(runner, ends);
    }),
  ).catch((error: unknown) => {
    if (!isLockRefused(error)) throw error;
    const reason = `a table on the path of a counter was locked for ${LOCK_TIMEOUT} ms while COMMIT had to look where the path leads by now`;
    const advice =
      'Roll back and try again; if this transaction has locked it (ALTER TABLE, LOCK), write in READ COMMITTED';
    throw new CounterCacheError('WRITE_FAILED', `${reason}. ${advice}`, {}, { cause: error });
  });
}

/**
 * Follows paths again, with a runner that sees what is committed by now, right before COMMIT. Returns the targets of
 * those that lead elsewhere, then and now. A move that commits later is no concern: it has its targets recounted once
 * every transaction that is open by then is over.
 */
async function recheckEnds(runner: QueryRunner, ends: readonly DatedEnd[]): Promise<readonly string[]> {
  const targets = new Set<string>();
  for (const steps of new Set(ends.map((one) => one.steps))) {
    const dated = ends.filter((one) => one.steps === steps);
    const current = await followPath(
      runner,
      steps,
      dated.map(({ key }) => key),
    );
    for (const [i, { targetTable, end }] of dated.entries()) {
      const [then, now] = [end, current.ends[i] ?? null].map((key) => key && targetId(targetTable.id, key));
      if (then === now) continue;
      if (typeof then === 'string') targets.add(then);
      if (typeof now === 'string') targets.add(now);
    }
  }
  return [...targets];
}
