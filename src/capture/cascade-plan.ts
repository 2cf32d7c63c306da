import type { DataSource, EntityMetadata } from 'typeorm';

import type { Definitions, KeyColumn } from '../counter/definition';
import { sqlTypeOf } from '../counter/sql-type';
import { opaqueColumns, planTable, type TablePlan } from './plan';

/** A foreign key by which the database itself deletes or changes rows when the row that they reference is deleted. */
export interface CascadeEdge {
  /** Rows of this table reference the deleted ones. */
  readonly child: CascadeNode;
  readonly action: 'CASCADE' | 'SET NULL';
  /** Columns of the child, with the type of each. */
  readonly foreignKeys: readonly KeyColumn[];
  /** Columns of the deleted row, in the same order. */
  readonly referenced: readonly string[];
}

/** One table from which deletions spread. */
export interface CascadeNode {
  readonly plan: TablePlan;
  readonly edges: readonly CascadeEdge[];
}

type DraftNode = { plan: TablePlan; edges: CascadeEdge[] };

/**
 * Where deletions spread from each table, as far as it leads to rows that feed counters. Foreign keys are taken from
 * the metadata, which TypeORM's schema builder makes them from.
 */
export function planCascades(dataSource: DataSource, definitions: Definitions): ReadonlyMap<string, CascadeNode> {
  const nodes = new Map<string, DraftNode>();
  for (const metadata of dataSource.entityMetadatas.filter(isRoot)) {
    nodes.set(metadata.tablePath, { plan: planTable(dataSource, metadata, definitions), edges: [] });
  }
  for (const metadata of dataSource.entityMetadatas)
    for (const key of metadata.foreignKeys) addEdge(dataSource, nodes, key);
  prune(nodes, dataSource);
  return new Map([...nodes].filter(([, { edges }]) => edges.length > 0));
}

/** Tables of single-table inheritance are planned once, by the root of the hierarchy. */
export function isRoot(metadata: EntityMetadata): boolean {
  return metadata.inheritancePattern !== 'STI' || metadata.parentEntityMetadata === undefined;
}

function addEdge(
  dataSource: DataSource,
  nodes: Map<string, DraftNode>,
  key: EntityMetadata['foreignKeys'][number],
): void {
  const action = key.onDelete;
  if (action !== 'CASCADE' && action !== 'SET NULL') return;
  const parent = nodes.get(key.referencedEntityMetadata.tablePath);
  const child = nodes.get(key.entityMetadata.tablePath);
  if (parent === undefined || child === undefined) return;
  const edge = edgeOf(dataSource, key);
  const nameOf = ({ foreignKeys }: Pick<CascadeEdge, 'foreignKeys'>): string =>
    foreignKeys.map(({ name }) => name).join();
  const known = parent.edges.some((other) => other.child === child && nameOf(other) === nameOf(edge));
  // Children of single-table inheritance repeat the keys of their parent.
  if (known) return;
  parent.edges.push({ ...edge, child, action });
}

/** The columns of a foreign key, and those that they refer to. */
export function edgeOf(
  { driver }: DataSource,
  key: EntityMetadata['foreignKeys'][number],
): Pick<CascadeEdge, 'foreignKeys' | 'referenced'> {
  return {
    foreignKeys: key.columns.map((column) => ({ name: column.databaseName, sqlType: sqlTypeOf(column, driver) })),
    referenced: key.referencedColumns.map(({ databaseName }) => databaseName),
  };
}

/** Drops edges that lead to no row that feeds a counter; then adds what the rest needs to read. */
function prune(nodes: ReadonlyMap<string, DraftNode>, dataSource: DataSource): void {
  const matters = ({ action, child, foreignKeys }: CascadeEdge, seen: Set<CascadeNode>): boolean => {
    if (action === 'SET NULL') return foreignKeys.some(({ name }) => child.plan.relevant.has(name));
    if (seen.has(child)) return false;
    seen.add(child);
    return feeds(child) || child.edges.some((edge) => matters(edge, seen));
  };
  for (const node of nodes.values()) {
    const kept = node.edges.filter((edge) => matters(edge, new Set()));
    node.edges.splice(0, node.edges.length, ...kept);
  }
  for (const node of nodes.values()) node.plan = readingReferenced(dataSource, node.plan, node.edges);
}

/** A plan that also reads what foreign keys refer to: as text, too, where the driver does not give it exactly. */
export function readingReferenced(
  dataSource: DataSource,
  plan: TablePlan,
  edges: readonly Pick<CascadeEdge, 'referenced'>[],
): TablePlan {
  const referenced = edges.flatMap((edge) => edge.referenced);
  return {
    ...plan,
    columns: [...new Set([...plan.columns, ...referenced])],
    texts: [...new Set([...plan.texts, ...opaqueColumns(dataSource, plan.metadata, referenced)])],
  };
}

/** Rows of the table count somewhere, are counted in, or stand between. */
function feeds({ plan }: CascadeNode): boolean {
  return plan.counters.length > 0 || plan.kinds.length > 0 || plan.links.length > 0;
}
