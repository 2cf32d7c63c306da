import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import type { ActionNode, ActionRoot } from './actions-plan';
import { restrict } from './lock-and-read';
import type { TablePlan } from './plan';
import type { RowChange } from './returning';
import { becameOf, Spread } from './spread';
import { send, type Strategy } from './statement';

/**
 * Captures a DELETE together with the database's own actions: locks the doomed rows, then, in later statements, locks and
 * reads what refers to them, recursively; then deletes exactly those rows. A reference inserted meanwhile waits for the
 * lock of its foreign-key check, and then finds no row.
 */
export function cascadingDelete(node: ActionRoot): Strategy {
  return async (statement) => {
    const { runner } = statement;
    const { rows, restricted } = await restrict(statement);
    const below = await new Spread(runner).from(node, rows, 'gone');
    let gone: readonly RowChange[] = [];
    let id: string | null = null;
    let isForeseen = false;
    const answer = await send(statement, ...restricted, ({ changes, transactionId }) => {
      [gone, id] = [changes, transactionId];
      // A row may be kept from going: then so is what refers to it.
      isForeseen = !below.isUncertain && changes.length === rows.length;
      if (isForeseen) statement.record(id, [{ plan: node.plan, changes }, ...below.foreseen()]);
    });
    if (!isForeseen && id !== null)
      statement.record(id, [{ plan: node.plan, changes: gone }, ...(await becameOf(runner, below.rows().values()))]);
    return answer;
  };
}

/** The rows that a DELETE of these would take along or change, by table, locked. */
export async function rowsBelow(
  runner: QueryRunner,
  node: ActionNode,
  rows: readonly Row[],
): Promise<ReadonlyMap<TablePlan, readonly Row[]>> {
  const below = await new Spread(runner).from(node, rows, 'gone');
  return new Map([...below.rows().values()].map((one) => [one.plan, one.rows]));
}
