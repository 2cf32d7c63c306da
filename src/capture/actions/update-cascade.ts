import type { QueryRunner } from 'typeorm';

import type { Row } from '../../model/definition';
import { type ActionEdge, type ActionNode, type ActionRoot, type RowEvent, withDerived } from './actions-plan';
import { afterOf, asDeletesAndInserts, pairUpdated } from '../lock-and-read';
import { onLockedRows } from '../locked-rows';
import { writtenColumns } from '../plan';
import { keyOf } from '../../typeorm/row-text';
import { type ReachedRows, readAgain, Spread } from './spread';
import type { Sight, SpreadingReach } from './spreading-reach';
import type { Strategy, TableChanges } from '../statement';
import type { WriteBuilder } from '../../typeorm/write-builder';

/** Whether an update may change a column that others refer to. */
export function spreads({ plan, edges, ...node }: ActionRoot, builder: WriteBuilder): boolean {
  const changed = withDerived(node, new Set(writtenColumns(plan.metadata, builder)));
  return changed !== 'gone' && edges.some(({ referenced }) => referenced.some((name) => changed.has(name)));
}

/**
 * Captures an UPDATE of keys together with the database's own actions: locks and reads what refers to the old keys,
 * recursively, before it, and what refers to the new ones after it. What of this the role may not see changes all the same:
 * the targets that it may count for are recounted.
 */
export function cascadingUpdate(node: ActionRoot, reach: SpreadingReach): Strategy {
  return async (statement) => {
    const { runner } = statement;
    const sight = await reach.look(runner, node);
    const event = withDerived(node, new Set(writtenColumns(node.plan.metadata, statement.builder)));
    return onLockedRows(statement, async (rows, sendLocked) => {
      const before = await new Spread(runner, sight).from(node, rows, event);
      let after: readonly Row[] = [];
      let id: string | null = null;
      const answer = await sendLocked(({ changes, transactionId }) => {
        after = afterOf(changes);
        id = transactionId;
      });
      const below = await changesBelow(runner, { node, event, before, after, sight });
      const moved = after.length > 0 ? sight.unseenTargets() : [];
      statement.record(id, [{ plan: node.plan, changes: pairUpdated(statement, rows, after), moved }, ...below]);
      return answer;
    });
  };
}

/** What was found before, and what an update made of it. */
interface Below {
  readonly node: ActionNode;
  readonly event: RowEvent;
  readonly before: Spread;
  /** The updated rows themselves. */
  readonly after: readonly Row[];
  readonly sight: Sight;
}

/**
 * Rows that followed the new keys are found by them; others are where they were. A row that took over the primary key of
 * another is among both.
 */
async function changesBelow(
  runner: QueryRunner,
  { node, event, before, after, sight }: Below,
): Promise<TableChanges[]> {
  const were = before.rows();
  const came = (await new Spread(runner, sight, follows).from(node, after, event)).rows();
  const tables: TableChanges[] = [];
  for (const id of new Set([...were.keys(), ...came.keys()])) {
    const old = were.get(id);
    const followed = came.get(id);
    const plan = old?.plan ?? followed?.plan;
    if (plan === undefined) continue;
    const now = before.isUncertain && old !== undefined ? await readAgain(runner, old) : new Map<string, Row>();
    tables.push({ plan, changes: asDeletesAndInserts(old?.rows ?? [], [...merged(now, followed).values()]) });
  }
  return tables;
}

function merged(now: ReadonlyMap<string, Row>, followed: ReachedRows | undefined): ReadonlyMap<string, Row> {
  if (followed === undefined) return now;
  const { plan, rows } = followed;
  return new Map([...now, ...rows.map((row) => [keyOf(plan.primaryKey, row), row] as const)]);
}

function follows({ onUpdate }: ActionEdge): boolean {
  return onUpdate === 'CASCADE';
}
