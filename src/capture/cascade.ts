import type { QueryResult, QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { escapeName } from '../sql/escape';
import { amongKeys } from '../sql/keys';
import { tableSql } from '../sql/table-names';
import type { CascadeEdge, CascadeNode } from './cascade-plan';
import { affectedBy } from './kept-rows';
import { onLockedRows } from './locked-rows';
import type { TablePlan } from './plan';
import { lockRows, type RowChange } from './returning';
import { keyOf, textOf } from './row-text';
import type { Sight, SpreadingReach } from './spreading-reach';
import { send, type Statement, type Strategy, type TableChanges } from './statement';

/** A row that goes, or loses references, together with a deleted one. */
export interface Affected {
  readonly plan: TablePlan;
  readonly row: Row;
  removed: boolean;
  readonly nulled: Set<string>;
}

/**
 * Captures a DELETE together with the database's own `ON DELETE CASCADE` and `SET NULL`: locks the doomed rows, then, in
 * later statements, locks and reads what references them, recursively; then deletes exactly those rows. A reference
 * inserted meanwhile waits for the lock of its foreign-key check, and then finds no row. What of this the role may not
 * see goes all the same: the targets that it may count for are recounted.
 */
export function cascadingDelete(node: CascadeNode, reach: SpreadingReach): Strategy {
  return async (statement) => {
    const sight = await reach.look(statement.runner, node);
    if (!sight.mayLock(node.plan)) return unlockedDelete(node, statement, sight);
    // A policy may keep rows from being locked that it lets go: the DELETE finds them by itself.
    const locksAll = sight.seesAll(node.plan);
    return onLockedRows(
      statement,
      async (rows, sendLocked) => {
        const affected = new Map<string, Affected>();
        // The doomed rows themselves are captured by the DELETE; here they only end cycles.
        const doomed = new Set(rows.map((row) => nameOf(node.plan, row)));
        await spread(statement.runner, node, rows, { affected, doomed, sight });
        return sendLocked(({ changes, transactionId }) => {
          const isWhole = locksAll && changes.length === doomed.size;
          const gone = isWhole ? affected : goneWith(node, changes, { affected, doomed, sight });
          const moved = changes.length > 0 ? sight.unseenTargets() : [];
          statement.record(transactionId, [{ plan: node.plan, changes, moved }, ...byTable(gone)]);
        });
      },
      { locksAll },
    );
  };
}

/** What goes where other rows are deleted than were locked: fewer, by a trigger or a policy, or more, by a policy. */
function goneWith(
  node: CascadeNode,
  changes: readonly RowChange[],
  found: SpreadingRows,
): ReadonlyMap<string, Affected> {
  const deleted = changes.flatMap(({ before }) => (before === null ? [] : [before]));
  if (deleted.some((row) => !found.doomed.has(nameOf(node.plan, row)))) found.sight?.spreadsUnseen(node);
  return affectedBy(node, deleted, found.affected);
}

/** Deletes without a look at what goes along. */
function unlockedDelete(node: CascadeNode, statement: Statement, sight: Sight): Promise<QueryResult> {
  const { sql, parameters } = statement;
  sight.spreadsUnseen(node);
  return send(statement, sql, [...parameters], ({ changes, transactionId }) => {
    const moved = changes.length > 0 ? sight.unseenTargets() : [];
    statement.record(transactionId, [{ plan: node.plan, changes, moved }]);
  });
}

/** The rows that a DELETE of these would take along or change, by table, locked. */
export async function rowsBelow(
  runner: QueryRunner,
  node: CascadeNode,
  rows: readonly Row[],
): Promise<ReadonlyMap<TablePlan, readonly Row[]>> {
  const affected = new Map<string, Affected>();
  await spread(runner, node, rows, {
    affected,
    doomed: new Set(rows.map((row) => nameOf(node.plan, row))),
    sight: null,
  });
  const tables = new Map<TablePlan, Row[]>();
  for (const { plan, row } of affected.values()) listOf(tables, plan).push(row);
  return tables;
}

/** The plans of the tables that deletions spread to from a table, and its own. */
export function plansBelow(node: CascadeNode, found = new Map<string, TablePlan>()): ReadonlyMap<string, TablePlan> {
  const { tablePath } = node.plan.metadata;
  if (found.has(tablePath)) return found;
  found.set(tablePath, node.plan);
  for (const { child } of node.edges) plansBelow(child, found);
  return found;
}

/** What is found while deletions spread. */
interface SpreadingRows {
  readonly affected: Map<string, Affected>;
  readonly doomed: ReadonlySet<string>;
  /** `null` where all that there is can be seen. */
  readonly sight: Sight | null;
}

async function spread(
  runner: QueryRunner,
  node: CascadeNode,
  rows: readonly Row[],
  spreading: SpreadingRows,
): Promise<void> {
  if (rows.length === 0) return;
  const { affected, doomed, sight } = spreading;
  for (const edge of node.edges) {
    if (sight?.spreads(node, edge) === false) continue;
    const { plan } = edge.child;
    const removed: Row[] = [];
    for (const row of await referencing(runner, edge, rows)) {
      const name = nameOf(plan, row);
      if (doomed.has(name)) continue;
      const known = affected.get(name) ?? { plan, row, removed: false, nulled: new Set() };
      affected.set(name, known);
      if (edge.action === 'SET NULL') for (const key of edge.foreignKeys) known.nulled.add(key.name);
      else if (!known.removed) {
        known.removed = true;
        removed.push(row);
      }
    }
    await spread(runner, edge.child, removed, spreading);
  }
}

/** The rows that reference these by one foreign key, locked. */
export async function referencing(
  runner: QueryRunner,
  edge: Pick<CascadeEdge, 'foreignKeys' | 'referenced'> & { readonly child: { readonly plan: TablePlan } },
  rows: readonly Row[],
): Promise<readonly Row[]> {
  const { plan } = edge.child;
  const arrays = edge.referenced.map((name) => rows.map((row) => textOf(row, name)));
  const wanted = amongKeys(
    edge.foreignKeys.map(({ name }) => escapeName(name)),
    edge.foreignKeys.map(({ sqlType }) => sqlType),
  );
  const source = `FROM ${tableSql(plan.metadata)} WHERE ${wanted}`;
  return lockRows(runner, plan, source, arrays);
}

function nameOf(plan: TablePlan, row: Row): string {
  return `${plan.metadata.tablePath} ${keyOf(plan.primaryKey, row)}`;
}

function byTable(affected: ReadonlyMap<string, Affected>): TableChanges[] {
  const tables = new Map<TablePlan, RowChange[]>();
  for (const { plan, row, removed, nulled } of affected.values()) {
    const after = removed ? null : { ...row, ...Object.fromEntries([...nulled].map((name) => [name, null])) };
    listOf(tables, plan).push({ before: row, after });
  }
  return [...tables].map(([plan, changes]) => ({ plan, changes }));
}

function listOf<T>(lists: Map<TablePlan, T[]>, plan: TablePlan): T[] {
  const known = lists.get(plan);
  if (known !== undefined) return known;
  const list: T[] = [];
  lists.set(plan, list);
  return list;
}
