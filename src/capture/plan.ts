import type { EntityMetadata } from 'typeorm';

import type { Counter, Definitions } from '../counter/definition';
import type { ExpressionMap, WriteBuilder } from './write-builder';

/** What to capture of writes to one table through one metadata. */
export interface SourcePlan {
  readonly metadata: EntityMetadata;
  readonly counters: readonly Counter[];
  /** Database columns to read from each row: what the contributions need, and the primary key. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  /** Database columns whose change can change a contribution. */
  readonly relevant: ReadonlySet<string>;
}

/** One plan per metadata that feeds a counter. */
export function planSources(definitions: Definitions): ReadonlyMap<EntityMetadata, SourcePlan> {
  return new Map(
    [...definitions.countersOf]
      .filter(([, counters]) => counters.length > 0)
      .map(([metadata, counters]) => [metadata, planSource(metadata, counters)]),
  );
}

function planSource(metadata: EntityMetadata, counters: readonly Counter[]): SourcePlan {
  const primaryKey = metadata.primaryColumns.map(({ databaseName }) => databaseName);
  return {
    metadata,
    counters,
    primaryKey,
    columns: [...new Set([...primaryKey, ...counters.flatMap(({ needs }) => needs)])],
    relevant: new Set(counters.flatMap((counter) => [...counter.relevant])),
  };
}

/** Whether a write can change a contribution; an update of other columns costs no query at all. */
export function isRelevant(plan: SourcePlan, builder: WriteBuilder): boolean {
  const { queryType } = builder.expressionMap;
  if (queryType === 'insert' || queryType === 'delete') return true;
  if (queryType === 'update')
    return [...writtenColumns(plan.metadata, builder)].some((column) => plan.relevant.has(column));
  return [...deletionColumns(plan.metadata)].some((column) => plan.relevant.has(column));
}

/** Database columns that an update writes, those that TypeORM adds by itself included. */
function* writtenColumns(metadata: EntityMetadata, builder: WriteBuilder): Generator<string> {
  const values = Object.entries(builder.expressionMap.valuesSet ?? {}).filter(([, value]) => value !== undefined);
  for (const path of builder.createPropertyPath(metadata, Object.fromEntries(values))) {
    for (const { databaseName } of metadata.findColumnsWithPropertyPath(path)) yield databaseName;
  }
  if (metadata.updateDateColumn) yield metadata.updateDateColumn.databaseName;
  if (metadata.versionColumn) yield metadata.versionColumn.databaseName;
}

function* deletionColumns(metadata: EntityMetadata): Generator<string> {
  for (const column of [metadata.deleteDateColumn, metadata.updateDateColumn, metadata.versionColumn]) {
    if (column) yield column.databaseName;
  }
}

/** Takes counter columns out of an upsert's overwrite list: only the library writes them (I7). */
export function protectOverwrite(expressionMap: ExpressionMap, counterColumns: ReadonlySet<string>): void {
  const { onUpdate } = expressionMap;
  if (onUpdate?.overwrite !== undefined)
    onUpdate.overwrite = onUpdate.overwrite.filter((column) => !counterColumns.has(column));
  if (onUpdate?.columns !== undefined)
    onUpdate.columns = onUpdate.columns.filter((column) => !counterColumns.has(column));
}
