import type { DataSource, EntityMetadata } from 'typeorm';

import type { Counter, CounterColumn, CounterTarget, Definitions, TargetTable, TouchColumn } from '../model/definition';
import type { CounterDraft, TargetDraft } from './resolve-counter';
import { type ColumnMetadata, scaleOf, sqlTypeOf } from '../model/sql-type';
import { targetTableId } from '../model/target';

interface TargetTableBuilder {
  readonly targetTable: TargetTable;
  readonly columns: Map<string, CounterColumn>;
  readonly touches: Map<string, TouchColumn>;
}

/** Links resolved counters with the target tables and columns that they share. */
export function link(drafts: readonly CounterDraft[], dataSource: DataSource): Definitions {
  const builders = new Map<string, TargetTableBuilder>();
  const feeding = new Map<CounterColumn, Counter[]>();
  const counters = drafts.map(({ named: _named, identity: _identity, ...draft }) => {
    const targets = draft.targets.map((target) => linkTarget(target, builders, feeding, dataSource));
    const counter: Counter = Object.freeze({ ...draft, targets: Object.freeze(targets) });
    for (const column of new Set(targets.flatMap(({ columns }) => [...columns.values()])))
      feeding.get(column)?.push(counter);
    return counter;
  });
  for (const list of feeding.values()) Object.freeze(list);
  const targetTables = new Map([...builders].map(([id, { targetTable }]) => [id, targetTable]));
  return Object.freeze({
    counters: Object.freeze(counters),
    targetTables,
    countersOf: countersByMetadata(counters, dataSource),
    counterColumnsOf: counterColumnsByMetadata(targetTables, dataSource),
  });
}

function linkTarget(
  draft: TargetDraft,
  builders: Map<string, TargetTableBuilder>,
  feeding: Map<CounterColumn, Counter[]>,
  dataSource: DataSource,
): CounterTarget {
  const builder = builderOf(draft, builders);
  const columns = draft.columns.map(
    (column) => [column.propertyPath, columnOf(column, builder, feeding, dataSource)] as const,
  );
  return Object.freeze({
    targetTable: builder.targetTable,
    foreignKeys: Object.freeze([...draft.foreignKeys]),
    path: draft.path,
    type: draft.type,
    columns: new Map(columns),
    touch: draft.touch === null ? null : touchOf(draft.touch, builder, dataSource),
  });
}

/** Id of the table that a target belongs to. */
export function tableIdOfDraft({ metadata, keys }: Pick<TargetDraft, 'metadata' | 'keys'>): string {
  return targetTableId(
    metadata.tablePath,
    keys.map(({ name }) => name),
  );
}

function builderOf(draft: TargetDraft, builders: Map<string, TargetTableBuilder>): TargetTableBuilder {
  const id = tableIdOfDraft(draft);
  const known = builders.get(id);
  if (known !== undefined) return known;
  const columns = new Map<string, CounterColumn>();
  const touches = new Map<string, TouchColumn>();
  const { tablePath } = draft.metadata;
  // The root of an STI table: it loads rows of every class.
  const metadata = draft.metadata.tableType === 'entity-child' ? draft.metadata.parentEntityMetadata : draft.metadata;
  const targetTable: TargetTable = Object.freeze({
    id,
    metadata,
    tablePath,
    keys: Object.freeze([...draft.keys]),
    columns,
    touches,
  });
  const builder = { targetTable, columns, touches };
  builders.set(id, builder);
  return builder;
}

function columnOf(
  column: ColumnMetadata,
  { targetTable, columns }: TargetTableBuilder,
  feeding: Map<CounterColumn, Counter[]>,
  { driver }: DataSource,
): CounterColumn {
  const known = columns.get(column.databaseName);
  if (known !== undefined) return known;
  const counters: Counter[] = [];
  const linked: CounterColumn = Object.freeze({
    targetTable,
    name: column.databaseName,
    property: column.propertyPath,
    scale: scaleOf(column, driver) ?? 0,
    sqlType: sqlTypeOf(column, driver),
    hydrate: (value: unknown): unknown => driver.prepareHydratedValue(value, column),
    counters,
  });
  columns.set(linked.name, linked);
  feeding.set(linked, counters);
  return linked;
}

function touchOf(column: ColumnMetadata, { touches }: TargetTableBuilder, { driver }: DataSource): TouchColumn {
  const known = touches.get(column.databaseName);
  if (known !== undefined) return known;
  const touch: TouchColumn = Object.freeze({
    name: column.databaseName,
    property: column.propertyPath,
    sqlType: sqlTypeOf(column, driver),
  });
  touches.set(touch.name, touch);
  return touch;
}

function countersByMetadata(
  counters: readonly Counter[],
  { entityMetadatas }: DataSource,
): ReadonlyMap<EntityMetadata, readonly Counter[]> {
  const result = new Map<EntityMetadata, readonly Counter[]>();
  for (const metadata of entityMetadatas) {
    const fed = counters.filter(({ source }) => sharesRows(source, metadata));
    if (fed.length > 0) result.set(metadata, Object.freeze(fed));
  }
  return result;
}

/** Whether a row may be written through both: the same table, and not classes of which neither descends from the other. */
function sharesRows(a: EntityMetadata, b: EntityMetadata): boolean {
  if (a === b) return true;
  if (a.tablePath !== b.tablePath) return false;
  const unrelated = a.tableType === 'entity-child' && b.tableType === 'entity-child';
  return !unrelated || a.childEntityMetadatas.includes(b) || b.childEntityMetadatas.includes(a);
}

function counterColumnsByMetadata(
  targetTables: ReadonlyMap<string, TargetTable>,
  { entityMetadatas }: DataSource,
): ReadonlyMap<EntityMetadata, ReadonlySet<string>> {
  const byTable = new Map<string, Set<string>>();
  for (const { tablePath, columns } of targetTables.values()) {
    byTable.set(tablePath, new Set([...(byTable.get(tablePath) ?? []), ...columns.keys()]));
  }
  return new Map(
    entityMetadatas.flatMap((metadata) => {
      const names = byTable.get(metadata.tablePath);
      return names === undefined ? [] : [[metadata, names] as const];
    }),
  );
}
