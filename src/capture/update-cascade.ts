import type { DataSource, QueryRunner } from 'typeorm';

import type { Counter, Definitions, Row } from '../counter/definition';
import { referencing } from './cascade';
import { edgeOf, type CascadeNode, isRoot, readingReferenced } from './cascade-plan';
import { afterOf, keepApart, pairUpdated } from './lock-and-read';
import { onLockedRows } from './locked-rows';
import { planTable, type TablePlan, writtenColumns } from './plan';
import type { Sight, SpreadingReach } from './spreading-reach';
import type { Strategy } from './statement';
import type { WriteBuilder } from './write-builder';

type Edge = Omit<CascadeNode['edges'][number], 'action' | 'child'> & { readonly child: UpdateNode };

/** One table whose changed keys spread, by `ON UPDATE CASCADE`. */
export interface UpdateNode {
  readonly plan: TablePlan;
  readonly edges: readonly Edge[];
}

type DraftNode = { plan: TablePlan; edges: (Edge & { child: DraftNode })[] };

/**
 * Where changed keys spread from each table, as far as it matters. That a source follows the key of its own target does
 * not: the target is recounted.
 */
export function planUpdateCascades(dataSource: DataSource, definitions: Definitions): ReadonlyMap<string, UpdateNode> {
  const nodes = new Map<string, DraftNode>();
  for (const metadata of dataSource.entityMetadatas.filter(isRoot))
    nodes.set(metadata.tablePath, { plan: planTable(dataSource, metadata, definitions), edges: [] });
  for (const key of dataSource.entityMetadatas.flatMap((metadata) => metadata.foreignKeys)) {
    const parent = nodes.get(key.referencedEntityMetadata.tablePath);
    const child = nodes.get(key.entityMetadata.tablePath);
    if (key.onUpdate === 'CASCADE' && parent !== undefined && child !== undefined)
      parent.edges.push({ ...edgeOf(dataSource, key), child });
  }
  for (const node of nodes.values()) {
    node.edges = node.edges.filter((edge) => matters(edge, node.plan.metadata.tablePath, new Set()));
    node.plan = readingReferenced(dataSource, node.plan, node.edges);
  }
  return new Map([...nodes].filter(([, { edges }]) => edges.length > 0));
}

function matters({ child, foreignKeys }: Edge, parent: string, seen: Set<UpdateNode>): boolean {
  const names = foreignKeys.map(({ name }) => name);
  const { plan } = child;
  const isKey = [...plan.kinds.flatMap(({ keys }) => keys), ...plan.links.flatMap(({ step }) => step.keys)].some(
    ({ name }) => names.includes(name),
  );
  if (isKey || plan.counters.some((counter) => looksAt(counter, names, parent))) return true;
  if (seen.has(child)) return false;
  seen.add(child);
  return child.edges.some(
    (edge) => edge.referenced.some((name) => names.includes(name)) && matters(edge, plan.metadata.tablePath, seen),
  );
}

/** Whether a counter looks at these columns other than in order to find the row that they refer to. */
function looksAt(counter: Counter, names: readonly string[], parent: string): boolean {
  if (!names.some((name) => counter.relevant.has(name))) return false;
  const calls =
    counter.condition !== null || counter.amount.from === 'function' || typeof counter.column === 'function';
  const reads = new Set([
    ...(counter.where?.columns ?? []),
    counter.amount.from === 'column' ? counter.amount.column : '',
  ]);
  if (calls || names.some((name) => reads.has(name))) return true;
  return !counter.targets.every(({ kind, path }) => (path?.steps[0]?.metadata.tablePath ?? kind.tablePath) === parent);
}

/** Whether an update writes a column whose change spreads. */
export function spreads({ plan, edges }: UpdateNode, builder: WriteBuilder): boolean {
  const written = new Set(writtenColumns(plan.metadata, builder));
  return edges.some(({ referenced }) => referenced.some((name) => written.has(name)));
}

/**
 * Captures an UPDATE of keys together with the database's own `ON UPDATE CASCADE`: locks and reads what refers to the old
 * keys, recursively, before it, and what refers to the new ones after it.
 */
export function cascadingUpdate(node: UpdateNode, reach: SpreadingReach): Strategy {
  return async (statement) => {
    const { runner } = statement;
    const sight = await reach.look(runner, node);
    const written = new Set(writtenColumns(node.plan.metadata, statement.builder));
    return onLockedRows(statement, async (rows, sendLocked) => {
      const before = await below(runner, node, rows, { changed: written, sight });
      let after: readonly Row[] = [];
      let id: string | null = null;
      const answer = await sendLocked(({ changes, transactionId }) => {
        after = afterOf(changes);
        id = transactionId;
      });
      const came = await below(runner, node, after, { changed: written, sight });
      const tables = [...new Set([...before.keys(), ...came.keys()])].map((plan) => ({
        plan,
        changes: keepApart(before.get(plan) ?? [], came.get(plan) ?? []),
      }));
      const moved = after.length > 0 ? sight.unseenTargets() : [];
      statement.record(id, [{ plan: node.plan, changes: pairUpdated(statement, rows, after), moved }, ...tables]);
      return answer;
    });
  };
}

/** The rows below these, by table, as far as changed columns spread. */
async function below(
  runner: QueryRunner,
  node: UpdateNode,
  rows: readonly Row[],
  { changed, sight }: { readonly changed: ReadonlySet<string>; readonly sight: Sight },
  found = new Map<TablePlan, readonly Row[]>(),
): Promise<Map<TablePlan, readonly Row[]>> {
  if (rows.length === 0) return found;
  for (const edge of node.edges.filter(({ referenced }) => referenced.some((name) => changed.has(name)))) {
    if (!sight.spreads(node, edge)) continue;
    const children = await referencing(runner, edge, rows);
    found.set(edge.child.plan, [...(found.get(edge.child.plan) ?? []), ...children]);
    await below(
      runner,
      edge.child,
      children,
      { changed: new Set(edge.foreignKeys.map(({ name }) => name)), sight },
      found,
    );
  }
  return found;
}
