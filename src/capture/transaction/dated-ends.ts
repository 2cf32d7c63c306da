import type { DataSource, QueryRunner } from 'typeorm';

import type { PathStep, TargetTable } from '../../model/definition';
import { CounterCacheError } from '../../errors';
import { targetId } from '../../model/target';
import { withConnection } from '../../dialects/postgres/query';
import { besidePoolWithin } from '../../dialects/postgres/side-connection';
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

/** How long the answer may take, ms: the transaction that waits for it may have locked a table of the path itself. */
const PATIENCE = 10_000;

/**
 * See {@link recheckEnds}; on the connection beside the pool: each of the pool's may be held by a transaction that waits for this.
 *
 * @throws CounterCacheError (`WRITE_FAILED`) when that takes longer than 10 s
 */
export async function recheckBeside(dataSource: DataSource, ends: readonly DatedEnd[]): Promise<readonly string[]> {
  const targets = await besidePoolWithin(dataSource, { limit: PATIENCE, when: 'urgent' }, () =>
    withConnection(dataSource, (runner) => recheckEnds(runner, ends)),
  );
  if (targets !== null) return targets;
  const reason = `COMMIT had to look where the path of a counter leads by now, and got no answer within ${PATIENCE} ms`;
  const advice =
    'Roll back and try again; if this transaction has locked a table of the path (ALTER TABLE, LOCK), write in READ COMMITTED';
  throw new CounterCacheError('WRITE_FAILED', `${reason}. ${advice}`);
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
