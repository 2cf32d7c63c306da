import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { escapeName, escapePath } from '../sql/escape';
import { amongKeys } from '../sql/keys';
import type { CascadeEdge, CascadeNode } from './cascade-plan';
import { onLockedRows } from './locked-rows';
import type { TablePlan } from './plan';
import { lockRows, type RowChange } from './returning';
import { keyOf, textOf } from './row-text';
import type { Strategy, TableChanges } from './statement';

/** A row that goes, or loses references, together with a deleted one. */
interface Affected {
  readonly plan: TablePlan;
  readonly row: Row;
  removed: boolean;
  readonly nulled: Set<string>;
}

/**
 * Captures a DELETE together with the database's own `ON DELETE CASCADE` and `SET NULL`: locks the doomed rows, then, in
 * later statements, locks and reads what references them, recursively; then deletes exactly those rows. A reference
 * inserted meanwhile waits for the lock of its foreign-key check, and then finds no row.
 */
export function cascadingDelete(node: CascadeNode): Strategy {
  return (statement) =>
    onLockedRows(statement, async (rows, sendLocked) => {
      const affected = new Map<string, Affected>();
      // The doomed rows themselves are captured by the DELETE; here they only end cycles.
      const doomed = new Set(rows.map((row) => nameOf(node.plan, row)));
      await spread(statement.runner, node, rows, affected, doomed);
      return sendLocked(({ changes, transactionId }) =>
        statement.record(transactionId, [{ plan: node.plan, changes }, ...byTable(affected)]),
      );
    });
}

/** The rows that a DELETE of these would take along or change, by table, locked. */
export async function rowsBelow(
  runner: QueryRunner,
  node: CascadeNode,
  rows: readonly Row[],
): Promise<ReadonlyMap<TablePlan, readonly Row[]>> {
  const affected = new Map<string, Affected>();
  await spread(runner, node, rows, affected, new Set(rows.map((row) => nameOf(node.plan, row))));
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

async function spread(
  runner: QueryRunner,
  node: CascadeNode,
  rows: readonly Row[],
  affected: Map<string, Affected>,
  doomed: ReadonlySet<string>,
): Promise<void> {
  if (rows.length === 0) return;
  for (const edge of node.edges) {
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
    await spread(runner, edge.child, removed, affected, doomed);
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
  const source = `FROM ${escapePath(plan.metadata.tablePath)} WHERE ${wanted}`;
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
