import type { QueryResult, QueryRunner } from 'typeorm';

import type { Row } from '../../model/definition';
import type { ActionNode, ActionRoot } from './actions-plan';
import { onLockedRows } from '../locked-rows';
import type { TablePlan } from '../plan';
import type { RowChange } from '../returning';
import { keyOf } from '../../typeorm/row-text';
import { becameOf, Spread } from './spread';
import type { Sight, SpreadingReach } from './spreading-reach';
import { send, type Statement, type Strategy } from '../statement';

/**
 * Captures a DELETE together with the database's own actions: locks the doomed rows, then, in later statements, locks and
 * reads what refers to them, recursively; then deletes exactly those rows. A reference inserted meanwhile waits for the
 * lock of its foreign-key check, and then finds no row. What of this the role may not see goes all the same: the targets
 * that it may count for are recounted.
 */
export function cascadingDelete(node: ActionRoot, reach: SpreadingReach): Strategy {
  return async (statement) => {
    const { runner } = statement;
    const sight = await reach.look(runner, node);
    if (!sight.mayLock(node)) return unlockedDelete(node, statement, sight);
    // A policy may keep rows from being locked that it lets go: the DELETE finds them by itself.
    const locksAll = sight.seesAll(node);
    return onLockedRows(
      statement,
      async (rows, sendLocked) => {
        const below = await new Spread(runner, sight).from(node, rows, 'gone');
        let gone: readonly RowChange[] = [];
        let id: string | null = null;
        let isPredicted = false;
        const answer = await sendLocked((returned) => {
          [gone, id] = [returned.changes, returned.transactionId];
          // A row may be kept from going: then so is what refers to it.
          isPredicted = locksAll && !below.isUncertain && gone.length === rows.length;
          if (isPredicted)
            statement.record(id, [
              { plan: node.plan, changes: gone, moved: movedBy(gone, sight) },
              ...below.predicted(),
            ]);
        });
        if (isPredicted || id === null) return answer;
        if (!locksAll && hasOthers(node, gone, rows)) sight.spreadsUnseen(node, 'gone');
        const became = await becameOf(runner, below.rows().values());
        statement.record(id, [{ plan: node.plan, changes: gone, moved: movedBy(gone, sight) }, ...became]);
        return answer;
      },
      { locksAll },
    );
  };
}

function movedBy(changes: readonly RowChange[], sight: Sight): readonly string[] {
  return changes.length > 0 ? sight.unseenTargets() : [];
}

/** Whether rows went that were not locked. */
function hasOthers({ plan }: ActionRoot, changes: readonly RowChange[], rows: readonly Row[]): boolean {
  const locked = new Set(rows.map((row) => keyOf(plan.primaryKey, row)));
  return changes.some(({ before }) => before !== null && !locked.has(keyOf(plan.primaryKey, before)));
}

/** Deletes without a look at what goes along. */
function unlockedDelete(node: ActionRoot, statement: Statement, sight: Sight): Promise<QueryResult> {
  const { sql, parameters } = statement;
  sight.spreadsUnseen(node, 'gone');
  return send(statement, [sql, [...parameters]], ({ changes, transactionId }) =>
    statement.record(transactionId, [{ plan: node.plan, changes, moved: movedBy(changes, sight) }]),
  );
}

/** The rows that a DELETE of these would take along or change, by table, locked. */
export async function rowsBelow(
  runner: QueryRunner,
  node: ActionNode,
  rows: readonly Row[],
): Promise<ReadonlyMap<TablePlan, readonly Row[]>> {
  const below = await new Spread(runner, null).from(node, rows, 'gone');
  return new Map([...below.rows().values()].map((one) => [one.plan, one.rows]));
}
