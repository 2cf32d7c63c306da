import type { DataSource, EntityMetadata, EntitySubscriberInterface } from 'typeorm';

import type { Counter, Definitions, KeyColumn, TargetTable } from '../model/definition';
import { sqlTypeOf } from '../model/sql-type';
import type { Catalogue, CatalogueTable } from '../dialects/postgres/catalogue/catalogue';
import { type DerivedColumns, derivedColumns, mayDiffer } from '../dialects/postgres/catalogue/own-changes';
import { isVouched, linksOf, type PathLink } from './actions/links';
import { isOpaque } from '../typeorm/row-text';
import type { ExpressionMap, WriteBuilder } from '../typeorm/write-builder';

/** What to capture of writes to one table through one metadata. */
export interface TablePlan {
  readonly metadata: EntityMetadata;
  /** Counters that its rows feed. */
  readonly counters: readonly Counter[];
  /** Target tables that its rows belong to. */
  readonly targetTables: readonly TargetTable[];
  /** The paths on which its rows are intermediate rows. */
  readonly links: readonly PathLink[];
  /** Whether more than the changed rows has to be read: the rows that paths lead through. */
  readonly followsPaths: boolean;
  /** Database columns to read from each row: what contributions and target keys need, and the primary key. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  /** Columns by which rows are told apart, and whose values the driver does not give exactly: read as text, too. */
  readonly texts: readonly string[];
  /** Database columns whose change can change a contribution or the key of a target. */
  readonly relevant: ReadonlySet<string>;
  /** Every update is relevant, of any column: the database itself may change relevant columns. */
  readonly isDerived: boolean;
  /** Whether every statement returns system columns of its rows, or only those that change or read them, or none does. */
  readonly systemColumns: 'always' | 'but for inserts' | 'never';
  /**
   * An UPDATE that waited for another transaction returns old rows as they were before that one: so does PostgreSQL 18 where
   * a trigger runs before each updated row. They have to be locked and read first.
   */
  readonly returnsStaleRows: boolean;
  /** The database may change rows that are inserted, keys that it generates included. */
  readonly altersInserted: boolean;
  /** Target tables whose rows can have no sources before they exist: nothing has to be recounted when one appears. */
  readonly vouched: ReadonlySet<TargetTable>;
}

/** What is counted, and in what tables: plans are made from both. */
export interface PlanBasis {
  readonly dataSource: DataSource;
  readonly definitions: Definitions;
  readonly catalogue: Catalogue;
}

/** One plan per metadata that feeds a counter, carries one, or stands between. */
export function planTables(basis: PlanBasis): ReadonlyMap<EntityMetadata, TablePlan> {
  const plans = basis.dataSource.entityMetadatas.map((metadata) => planTable(basis, metadata));
  return new Map(
    plans
      .filter(({ counters, targetTables, links }) => counters.length + targetTables.length + links.length > 0)
      .map((plan) => [plan.metadata, plan]),
  );
}

export function planTable({ dataSource, definitions, catalogue }: PlanBasis, metadata: EntityMetadata): TablePlan {
  const counters = definitions.countersOf.get(metadata) ?? [];
  const targetTables = [...definitions.targetTables.values()].filter(
    ({ tablePath }) => tablePath === metadata.tablePath,
  );
  const primaryKey = metadata.primaryColumns.map(({ databaseName }) => databaseName);
  const links = linksOf(metadata.tablePath, definitions, catalogue);
  const relevant = new Set([
    ...keyColumns({ targetTables, links }),
    ...counters.flatMap((counter) => [...counter.relevant]),
  ]);
  const table = catalogue.tableAt(metadata.tablePath);
  return {
    metadata,
    counters,
    targetTables,
    links,
    followsPaths: links.length > 0 || counters.some(({ targets }) => targets.some(({ path }) => path !== null)),
    primaryKey,
    texts: opaqueColumns(dataSource, metadata, primaryKey),
    columns: [...new Set([...primaryKey, ...neededColumns({ counters, targetTables, links })])],
    relevant,
    isDerived: table !== undefined && isAmong(derivedColumns(catalogue, table), relevant),
    systemColumns: systemColumnsOf(table?.kind),
    returnsStaleRows: table !== undefined && mayDiffer(catalogue, table, 'update'),
    altersInserted: table !== undefined && mayDiffer(catalogue, table, 'insert'),
    vouched: new Set(targetTables.filter((targetTable) => isVouched(targetTable, definitions, catalogue))),
  };
}

function systemColumnsOf(kind: CatalogueTable['kind'] = 'table'): TablePlan['systemColumns'] {
  if (kind === 'table') return 'always';
  return kind === 'partitioned table' ? 'but for inserts' : 'never';
}

function isAmong(derived: DerivedColumns, columns: ReadonlySet<string>): boolean {
  return derived === 'all' ? columns.size > 0 : [...columns].some((name) => derived.has(name));
}

/** A plan that reads the primary key only where a counter or a target needs it: every column costs 1 % of a small insert. */
export function unkeyed(plan: TablePlan): TablePlan {
  return { ...plan, columns: neededColumns(plan), texts: [] };
}

function keyColumns({ targetTables, links }: Pick<TablePlan, 'targetTables' | 'links'>): string[] {
  return [
    ...targetTables.flatMap((targetTable) => targetTable.keys.map(({ name }) => name)),
    ...links.flatMap(({ step }) => [...step.relevant]),
  ];
}

/** What contributions, and the keys of targets and of intermediate rows, are made of. */
function neededColumns({
  counters,
  targetTables,
  links,
}: Pick<TablePlan, 'counters' | 'targetTables' | 'links'>): string[] {
  return [...new Set([...keyColumns({ targetTables, links }), ...counters.flatMap(({ needs }) => needs)])];
}

/** Those columns whose values the driver does not give exactly. */
export function opaqueColumns(
  { driver }: DataSource,
  metadata: EntityMetadata,
  names: readonly string[],
): readonly string[] {
  return names.filter((name) => {
    const column = metadata.findColumnWithDatabaseName(name);
    return column !== undefined && isOpaque(sqlTypeOf(column, driver));
  });
}

/** Whether a write can change a contribution or a target's key; an update of other columns costs no query at all. */
export function isRelevant(plan: TablePlan, builder: WriteBuilder): boolean {
  const { queryType, valuesSet } = builder.expressionMap;
  if (queryType === 'delete') return true;
  if (queryType === 'insert')
    return (
      !isEmpty(valuesSet) &&
      (plan.counters.length > 0 ||
        mayBeChanged(builder, plan.metadata) ||
        keyedTables(plan, builder).some((targetTable) => !plan.vouched.has(targetTable)) ||
        appearingLinks(plan, builder).size > 0 ||
        overwrites(builder.expressionMap, plan))
    );
  if (plan.isDerived || (queryType === 'update' && mayBeChanged(builder, plan.metadata))) return true;
  const written = queryType === 'update' ? writtenColumns(plan.metadata, builder) : deletionColumns(plan.metadata);
  return written.some((column) => plan.relevant.has(column));
}

/** A listener or subscriber may yet change what is written: it runs inside `execute`. */
function mayBeChanged(builder: WriteBuilder, metadata: EntityMetadata): boolean {
  const isInsert = builder.expressionMap.queryType === 'insert';
  const listeners = isInsert ? metadata.beforeInsertListeners : metadata.beforeUpdateListeners;
  return isHeard(builder, metadata, listeners, [isInsert ? 'beforeInsert' : 'beforeUpdate']);
}

function isHeard(
  builder: WriteBuilder,
  metadata: EntityMetadata,
  listeners: EntityMetadata['listeners'],
  events: readonly (keyof EntitySubscriberInterface)[],
): boolean {
  if (builder.expressionMap.callListeners !== true) return false;
  return (
    listeners.length > 0 ||
    builder.dataSource.subscribers.some(
      (subscriber) => events.some((event) => subscriber[event] !== undefined) && isListening(subscriber, metadata),
    )
  );
}

function isListening(subscriber: EntitySubscriberInterface, { target }: EntityMetadata): boolean {
  const to: unknown = subscriber.listenTo?.();
  if (typeof to !== 'function' || to === Object || to === target) return true;
  return typeof target === 'function' && Object.prototype.isPrototypeOf.call(to, target);
}

/** Whether an update writes the primary key. */
export function writesKey({ metadata, primaryKey }: TablePlan, builder: WriteBuilder): boolean {
  return writtenColumns(metadata, builder).some((name) => primaryKey.includes(name));
}

/** Whether an upsert may change relevant columns of a row that is there. */
function overwrites({ onUpdate }: ExpressionMap, { relevant, isDerived }: TablePlan): boolean {
  if (onUpdate !== undefined && isDerived) return true;
  return [...(onUpdate?.overwrite ?? []), ...(onUpdate?.columns ?? [])].some((name) => relevant.has(name));
}

/** TypeORM sends no statement for an empty list of rows. */
function isEmpty(valuesSet: unknown): boolean {
  return Array.isArray(valuesSet) && valuesSet.length === 0;
}

/**
 * Target tables whose key the caller of an insert chooses: a row with such a key may have had a predecessor, or children before
 * it. A key that the database generates is new.
 */
export function keyedTables(plan: TablePlan, builder: WriteBuilder): readonly TargetTable[] {
  return plan.targetTables.filter(({ keys }) => hasChosenKey(plan, keys, builder));
}

/** Links that rows may hang below already when an insert makes the intermediate row. An upsert may make one, or change one. */
export function appearingLinks(plan: TablePlan, builder: WriteBuilder): ReadonlySet<PathLink> {
  return new Set(plan.links.filter(({ step, mayAppear }) => mayAppear && hasChosenKey(plan, step.keys, builder)));
}

function hasChosenKey(
  { metadata, altersInserted }: TablePlan,
  keys: readonly KeyColumn[],
  { expressionMap }: WriteBuilder,
): boolean {
  const { valuesSet, insertFromSelect } = expressionMap;
  if (insertFromSelect !== undefined || altersInserted) return true;
  const rows = [valuesSet].flat().filter((row) => typeof row === 'object' && row !== null);
  return keys.every(({ name }) => {
    const column = metadata.findColumnWithDatabaseName(name);
    if (column === undefined || !column.isGenerated) return true;
    return rows.some((row) => (column.getEntityValue(row) ?? null) !== null);
  });
}

/** Database columns that an update writes, those that TypeORM adds by itself included. */
export function writtenColumns(metadata: EntityMetadata, builder: WriteBuilder): string[] {
  const paths = builder.createPropertyPath(metadata, defined(builder.expressionMap.valuesSet ?? {}));
  const columns = paths.flatMap((path) => metadata.findColumnsWithPropertyPath(path));
  return namesOf([...columns, metadata.updateDateColumn, metadata.versionColumn]);
}

function deletionColumns({ deleteDateColumn, updateDateColumn, versionColumn }: EntityMetadata): string[] {
  return namesOf([deleteDateColumn, updateDateColumn, versionColumn]);
}

function namesOf(columns: readonly EntityMetadata['versionColumn'][]): string[] {
  return columns.flatMap((column) => (column === undefined ? [] : [column.databaseName]));
}

/** Nearly always the very object: every update passes here. */
function defined(values: object): object {
  if (!Object.values(values).includes(undefined)) return values;
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Takes counter columns out of an upsert's overwrite list: only the library writes them (I7). */
export function protectOverwrite(expressionMap: ExpressionMap, counterColumns: ReadonlySet<string>): void {
  const { onUpdate } = expressionMap;
  if (onUpdate?.overwrite !== undefined)
    onUpdate.overwrite = onUpdate.overwrite.filter((column) => !counterColumns.has(column));
  if (onUpdate?.columns !== undefined)
    onUpdate.columns = onUpdate.columns.filter((column) => !counterColumns.has(column));
}
