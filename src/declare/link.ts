import type { DataSource, EntityMetadata } from 'typeorm';

import type { Counter, CounterColumn, CounterTarget, Definitions, TargetKind, TouchColumn } from '../model/definition';
import type { CounterDraft, TargetDraft } from './resolve-counter';
import { type ColumnMetadata, scaleOf, sqlTypeOf } from '../model/sql-type';
import { kindId } from '../model/target';

interface KindBuilder {
  readonly kind: TargetKind;
  readonly columns: Map<string, CounterColumn>;
  readonly touches: Map<string, TouchColumn>;
}

/** Links resolved counters with the kinds and columns that they share. */
export function link(drafts: readonly CounterDraft[], dataSource: DataSource): Definitions {
  const builders = new Map<string, KindBuilder>();
  const feeding = new Map<CounterColumn, Counter[]>();
  const counters = drafts.map(({ named: _named, identity: _identity, ...draft }) => {
    const targets = draft.targets.map((target) => linkTarget(target, builders, feeding, dataSource));
    const counter: Counter = Object.freeze({ ...draft, targets: Object.freeze(targets) });
    for (const column of new Set(targets.flatMap(({ columns }) => [...columns.values()])))
      feeding.get(column)?.push(counter);
    return counter;
  });
  for (const list of feeding.values()) Object.freeze(list);
  const kinds = new Map([...builders].map(([id, { kind }]) => [id, kind]));
  return Object.freeze({
    counters: Object.freeze(counters),
    kinds,
    countersOf: countersByMetadata(counters, dataSource),
    counterColumnsOf: counterColumnsByMetadata(kinds, dataSource),
  });
}

function linkTarget(
  draft: TargetDraft,
  builders: Map<string, KindBuilder>,
  feeding: Map<CounterColumn, Counter[]>,
  dataSource: DataSource,
): CounterTarget {
  const builder = kindOf(draft, builders);
  const columns = draft.columns.map(
    (column) => [column.propertyPath, columnOf(column, builder, feeding, dataSource)] as const,
  );
  return Object.freeze({
    kind: builder.kind,
    foreignKeys: Object.freeze([...draft.foreignKeys]),
    path: draft.path,
    type: draft.type,
    columns: new Map(columns),
    touch: draft.touch === null ? null : touchOf(draft.touch, builder, dataSource),
  });
}

/** Id of the kind that a target belongs to. */
export function kindIdOfDraft({ metadata, keys }: Pick<TargetDraft, 'metadata' | 'keys'>): string {
  return kindId(
    metadata.tablePath,
    keys.map(({ name }) => name),
  );
}

function kindOf(draft: TargetDraft, builders: Map<string, KindBuilder>): KindBuilder {
  const id = kindIdOfDraft(draft);
  const known = builders.get(id);
  if (known !== undefined) return known;
  const columns = new Map<string, CounterColumn>();
  const touches = new Map<string, TouchColumn>();
  const { tablePath } = draft.metadata;
  // The root of an STI table: it loads rows of every class.
  const metadata = draft.metadata.tableType === 'entity-child' ? draft.metadata.parentEntityMetadata : draft.metadata;
  const kind: TargetKind = Object.freeze({
    id,
    metadata,
    tablePath,
    keys: Object.freeze([...draft.keys]),
    columns,
    touches,
  });
  const builder = { kind, columns, touches };
  builders.set(id, builder);
  return builder;
}

function columnOf(
  column: ColumnMetadata,
  { kind, columns }: KindBuilder,
  feeding: Map<CounterColumn, Counter[]>,
  { driver }: DataSource,
): CounterColumn {
  const known = columns.get(column.databaseName);
  if (known !== undefined) return known;
  const counters: Counter[] = [];
  const linked: CounterColumn = Object.freeze({
    kind,
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

function touchOf(column: ColumnMetadata, { touches }: KindBuilder, { driver }: DataSource): TouchColumn {
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
  kinds: ReadonlyMap<string, TargetKind>,
  { entityMetadatas }: DataSource,
): ReadonlyMap<EntityMetadata, ReadonlySet<string>> {
  const byTable = new Map<string, Set<string>>();
  for (const { tablePath, columns } of kinds.values()) {
    byTable.set(tablePath, new Set([...(byTable.get(tablePath) ?? []), ...columns.keys()]));
  }
  return new Map(
    entityMetadatas.flatMap((metadata) => {
      const names = byTable.get(metadata.tablePath);
      return names === undefined ? [] : [[metadata, names] as const];
    }),
  );
}
