import type { EntityMetadata } from 'typeorm';

import type { Counter, KeyColumn } from '../../model/definition';
import { sqlTypeOf } from '../../model/sql-type';
import type { CatalogueTable, ForeignKeyAction } from '../../dialects/postgres/catalogue/catalogue';
import { type DerivedColumns, derivedColumns, mayDiffer } from '../../dialects/postgres/catalogue/own-changes';
import { escapePath } from '../../dialects/postgres/escape';
import { opaqueColumns, type PlanBasis, planTable, type TablePlan } from '../plan';
import { isOpaque } from '../../typeorm/row-text';

/** What happens to a row: it goes, or some of its columns change. */
export type RowEvent = 'gone' | ReadonlySet<string>;

/** A foreign key by which the database itself deletes or changes rows when the row that they refer to goes or changes. */
export interface ActionEdge {
  /** Rows of this table refer to those of the node. */
  readonly child: ActionNode;
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  /** Columns of the child, with what to cast a text to in order to compare it with each. */
  readonly foreignKeys: readonly KeyColumn[];
  /** Columns of the node, in the same order. */
  readonly referenced: readonly string[];
  /** Columns of the child that a delete sets. */
  readonly deleteSets: readonly string[];
}

/** A table that foreign keys' actions lead from, or through. */
export interface ActionNode {
  /** Rows of the same table have the same. */
  readonly id: string;
  /** What the database says of the table; `undefined` while it does not exist. */
  readonly table: CatalogueTable | undefined;
  /** Escaped name of the table. */
  readonly name: string;
  /** The table in SQL, with ONLY where foreign keys are not those of its child tables. */
  readonly sql: string;
  /** `null` for a table that no entity maps: its rows only lead on. */
  readonly plan: TablePlan | null;
  /** What to read of its rows. */
  readonly reads: Pick<TablePlan, 'columns' | 'texts'>;
  /** What the database may change in an updated row besides. */
  readonly derived: DerivedColumns;
  /** Rows that an action reaches may turn out otherwise: they have to be read again. */
  readonly isUncertain: boolean;
  readonly edges: readonly ActionEdge[];
}

/** A node whose rows are written through an entity. */
export type ActionRoot = ActionNode & { readonly plan: TablePlan };

type Draft = { -readonly [Name in keyof ActionNode]: ActionNode[Name] };

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Where the database's own actions lead from each mapped table (by its path) as far as it matters: from rows that are
 * deleted, or from rows that are updated. The catalogue says which foreign keys there are; of tables that it does not
 * know yet, the metadata do.
 */
export function planActions(basis: PlanBasis, start: 'delete' | 'update'): ReadonlyMap<string, ActionRoot> {
  const graph = new Graph(basis);
  graph.addForeignKeys();
  graph.prune(start);
  return graph.roots();
}

/** What an event does to rows that refer to a row by a foreign key; `null` for nothing. */
export function reactionOf(
  { onDelete, onUpdate, deleteSets, foreignKeys, referenced }: Omit<ActionEdge, 'child'>,
  event: RowEvent,
): RowEvent | null {
  if (event === 'gone') {
    if (onDelete === 'CASCADE') return 'gone';
    return onDelete === 'SET NULL' || onDelete === 'SET DEFAULT' ? new Set(deleteSets) : null;
  }
  const isHit = referenced.some((name) => event.has(name));
  return isHit && acts(onUpdate) ? new Set(foreignKeys.map(({ name }) => name)) : null;
}

/** An event together with what the database changes besides. */
export function withDerived({ derived, reads }: Pick<ActionNode, 'derived' | 'reads'>, event: RowEvent): RowEvent {
  if (event === 'gone') return event;
  return new Set([...event, ...(derived === 'all' ? reads.columns : derived)]);
}

function acts(action: ForeignKeyAction): boolean {
  return action !== 'NO ACTION' && action !== 'RESTRICT';
}

/** Tables of single-table inheritance are planned once, by the root of the hierarchy. */
export function isRoot(metadata: EntityMetadata): boolean {
  return metadata.inheritancePattern !== 'STI' || metadata.parentEntityMetadata === undefined;
}

type Key = Omit<ActionEdge, 'child'>;

/** All tables and all foreign keys that do something, before it is known which matter. */
class Graph {
  readonly #basis: PlanBasis;
  readonly #nodes = new Map<string, Draft>();
  /** Path → id of its node. */
  readonly #paths = new Map<string, string>();

  constructor(basis: PlanBasis) {
    this.#basis = basis;
    for (const metadata of basis.dataSource.entityMetadatas.filter(isRoot)) this.#addMapped(metadata);
  }

  #addMapped(metadata: EntityMetadata): void {
    const { tablePath } = metadata;
    const table = this.#basis.catalogue.tableAt(tablePath);
    const id = table?.oid ?? tablePath;
    this.#paths.set(tablePath, id);
    const plan = planTable(this.#basis, metadata);
    const { columns, texts } = plan;
    const name = table?.sql ?? escapePath(tablePath);
    this.#nodes.set(id, {
      id: tablePath,
      table,
      name,
      sql: `${onlyOf(table)}${name}`,
      plan,
      reads: { columns, texts },
      ...this.#certaintyOf(table),
      edges: [],
    });
  }

  #certaintyOf(table: CatalogueTable | undefined): Pick<ActionNode, 'derived' | 'isUncertain'> {
    if (table === undefined) return { derived: NOTHING, isUncertain: false };
    const { catalogue } = this.#basis;
    const derived = derivedColumns(catalogue, table);
    const hasOwnWays = (['update', 'delete'] as const).some((event) => mayDiffer(catalogue, table, event));
    const isUncertain = hasOwnWays || derived === 'all' || derived.size > 0 || hasChildTables(table);
    return { derived, isUncertain };
  }

  addForeignKeys(): void {
    const { catalogue, dataSource } = this.#basis;
    const acting = catalogue.foreignKeys.flatMap((key) => {
      const [table, referenced] = [catalogue.table(key.table), catalogue.table(key.referenced)];
      const isActing = acts(key.onDelete) || acts(key.onUpdate);
      return isActing && table !== undefined && referenced !== undefined ? [{ key, table, referenced }] : [];
    });
    // All nodes first: parts of tables are found among them.
    for (const { table, referenced } of acting) for (const one of [referenced, table]) this.#nodeOf(one);
    for (const { key, table, referenced } of acting) {
      const foreignKeys = key.columns.map((name) => ({ name, sqlType: table.columns.get(name)?.cast ?? 'text' }));
      const edge: Key = { ...key, foreignKeys, referenced: key.referencedColumns };
      const children = this.#readersOf(table);
      for (const parent of this.#holdersOf(referenced)) for (const child of children) add(parent, child, edge);
    }
    for (const metadata of dataSource.entityMetadatas) {
      if (catalogue.tableAt(metadata.tablePath) !== undefined) continue;
      for (const key of metadata.foreignKeys) this.#addWished(key);
    }
  }

  /** A foreign key of a table that is not there yet. */
  #addWished(key: EntityMetadata['foreignKeys'][number]): void {
    const { driver } = this.#basis.dataSource;
    const parent = this.#nodes.get(this.#paths.get(key.referencedEntityMetadata.tablePath) ?? '');
    const child = this.#nodes.get(this.#paths.get(key.entityMetadata.tablePath) ?? '');
    if (parent === undefined || child === undefined) return;
    const foreignKeys = key.columns.map((column) => ({
      name: column.databaseName,
      sqlType: sqlTypeOf(column, driver),
    }));
    add(parent, child, {
      onDelete: (key.onDelete ?? 'NO ACTION') as ForeignKeyAction,
      onUpdate: (key.onUpdate ?? 'NO ACTION') as ForeignKeyAction,
      foreignKeys,
      referenced: key.referencedColumns.map(({ databaseName }) => databaseName),
      deleteSets: foreignKeys.map(({ name }) => name),
    });
  }

  /** The nodes through which rows that a key refers to may be deleted or changed. */
  #holdersOf(table: CatalogueTable): Draft[] {
    const related = [...table.ancestors, ...(table.kind === 'partitioned table' ? table.descendants : [])];
    const mapped = related.flatMap((oid) => this.#nodes.get(oid) ?? []);
    return [this.#nodeOf(table), ...mapped];
  }

  /** The nodes whose rows a key of this table belongs to. */
  #readersOf(table: CatalogueTable): Draft[] {
    const own = this.#nodeOf(table);
    if (own.plan !== null || table.kind !== 'partitioned table') return [own];
    return [own, ...table.descendants.flatMap((oid) => this.#nodes.get(oid) ?? [])];
  }

  /** Of a table that no entity maps: rows of one that is a part of a mapped table count as that table's. */
  #nodeOf(table: CatalogueTable): Draft {
    const known = this.#nodes.get(table.oid);
    if (known !== undefined) return known;
    const whole = table.ancestors.flatMap((oid) => this.#nodes.get(oid) ?? []).find(({ plan }) => plan !== null);
    const made: Draft = {
      id: whole?.id ?? table.oid,
      table,
      name: table.sql,
      sql: `${onlyOf(table)}${table.sql}`,
      plan: whole?.plan ?? null,
      reads: whole?.reads ?? { columns: [], texts: [] },
      ...this.#certaintyOf(table),
      edges: [],
    };
    this.#nodes.set(table.oid, made);
    return made;
  }

  /** Drops edges that lead to nothing that counts; then adds what the others need to read. */
  prune(start: 'delete' | 'update'): void {
    const nodes = [...this.#nodes.values()];
    const read = new Map(nodes.map((node) => [node, node.edges.flatMap(({ referenced }) => referenced)]));
    // What triggers may change is anything that an edge looks at.
    for (const node of nodes) node.reads = this.#reading(node, read.get(node) ?? []);
    const set = settable(nodes);
    const kept = nodes.map((node) => node.edges.filter((edge) => isKept(node, edge, start, set)));
    for (const [i, node] of nodes.entries()) node.edges = kept[i] ?? [];
    for (const node of nodes)
      node.reads = this.#reading(
        node,
        node.edges.flatMap(({ referenced }) => referenced),
      );
  }

  #reading(node: Draft, referenced: readonly string[]): ActionNode['reads'] {
    const { plan, id } = node;
    if (plan !== null) {
      const { dataSource } = this.#basis;
      return {
        columns: [...new Set([...plan.columns, ...referenced])],
        texts: [...new Set([...plan.texts, ...opaqueColumns(dataSource, plan.metadata, referenced)])],
      };
    }
    const columns = [...new Set(referenced)];
    const table = this.#basis.catalogue.table(id);
    return { columns, texts: columns.filter((name) => isOpaque(table?.columns.get(name)?.type ?? '')) };
  }

  roots(): ReadonlyMap<string, ActionRoot> {
    const roots = new Map<string, ActionRoot>();
    for (const node of this.#nodes.values()) if (node.plan !== null) node.plan = { ...node.plan, ...node.reads };
    for (const [path, id] of this.#paths) {
      const node = this.#nodes.get(id);
      if (node !== undefined && node.plan !== null && node.edges.length > 0) roots.set(path, node as ActionRoot);
    }
    return roots;
  }
}

function onlyOf(table: CatalogueTable | undefined): string {
  return table !== undefined && hasChildTables(table) ? 'ONLY ' : '';
}

function hasChildTables({ kind, descendants }: CatalogueTable): boolean {
  return kind === 'table' && descendants.length > 0;
}

function add(parent: Draft, child: Draft, key: Key): void {
  const nameOf = ({ foreignKeys, referenced, onDelete, onUpdate }: Key): string =>
    JSON.stringify([foreignKeys.map(({ name }) => name), referenced, onDelete, onUpdate]);
  // In metadata, children of single-table inheritance repeat the keys of their parent.
  const isKnown = parent.edges.some((other) => other.child === child && nameOf(other) === nameOf(key));
  if (!isKnown) parent.edges = [...parent.edges, { ...key, child }];
}

/** Columns that deletes elsewhere may set in rows of a node. */
function settable(nodes: readonly Draft[]): ReadonlyMap<ActionNode, ReadonlySet<string>> {
  const sets = new Map<ActionNode, Set<string>>(nodes.map((node) => [node, new Set()]));
  for (const { edges } of nodes)
    for (const edge of edges) {
      const reaction = reactionOf(edge, 'gone');
      if (reaction === null || reaction === 'gone') continue;
      const event = withDerived(edge.child, reaction);
      if (event !== 'gone') for (const name of event) sets.get(edge.child)?.add(name);
    }
  return sets;
}

function isKept(
  node: Draft,
  edge: ActionEdge,
  start: 'delete' | 'update',
  set: ReadonlyMap<ActionNode, ReadonlySet<string>>,
): boolean {
  const events: RowEvent[] = start === 'delete' ? ['gone', set.get(node) ?? NOTHING] : [new Set(edge.referenced)];
  return events.some((event) => matters(node, edge, event, new Set()));
}

/** Whether an event at a row leads, by this foreign key, to something that counts. */
function matters(node: ActionNode, edge: ActionEdge, event: RowEvent, seen: Set<string>): boolean {
  const reaction = reactionOf(edge, event);
  if (reaction === null) return false;
  const { child } = edge;
  const further = withDerived(child, reaction);
  if (isFelt(node, edge, event, further)) return true;
  const name = `${child.sql} ${further === 'gone' ? further : [...further].toSorted().join()}`;
  if (seen.has(name)) return false;
  seen.add(name);
  return child.edges.some((next) => matters(child, next, further, seen));
}

/** Whether what becomes of a child row changes what it counts, carries, or leads to. */
function isFelt(node: ActionNode, { child, onUpdate }: ActionEdge, event: RowEvent, further: RowEvent): boolean {
  const { plan } = child;
  if (plan === null) return false;
  if (further === 'gone') return plan.counters.length + plan.targetTables.length + plan.links.length > 0;
  const names = [...further];
  if (event === 'gone' || onUpdate !== 'CASCADE' || child.isUncertain)
    return names.some((name) => plan.relevant.has(name));
  const keys = [
    ...plan.targetTables.flatMap((targetTable) => targetTable.keys),
    ...plan.links.flatMap(({ step }) => step.keys),
  ];
  const parent = node.plan?.metadata.tablePath ?? '';
  return keys.some(({ name }) => further.has(name)) || plan.counters.some((one) => looksAt(one, names, parent));
}

/**
 * Whether a counter looks at these columns other than in order to find the row that they refer to. That a source follows
 * the key of its own target does not matter: the target is recounted.
 */
function looksAt(counter: Counter, names: readonly string[], parent: string): boolean {
  if (!names.some((name) => counter.relevant.has(name))) return false;
  const calls =
    counter.condition !== null || counter.amount.from === 'function' || typeof counter.column === 'function';
  const reads = new Set([
    ...(counter.where?.columns ?? []),
    counter.amount.from === 'column' ? counter.amount.column : '',
  ]);
  if (calls || names.some((name) => reads.has(name))) return true;
  return !counter.targets.every(
    ({ targetTable, path }) => (path?.steps[0]?.metadata.tablePath ?? targetTable.tablePath) === parent,
  );
}

/** The plans of the mapped tables that actions lead to from a table, and its own. */
export function plansBelow(node: ActionNode): ReadonlyMap<string, TablePlan> {
  const plans = new Map<string, TablePlan>();
  const seen = new Set<ActionNode>();
  const visit = (at: ActionNode): void => {
    if (seen.has(at)) return;
    seen.add(at);
    if (at.plan !== null) plans.set(at.plan.metadata.tablePath, plans.get(at.plan.metadata.tablePath) ?? at.plan);
    for (const { child } of at.edges) visit(child);
  };
  visit(node);
  return plans;
}
