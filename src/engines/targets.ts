import type { EntityTarget, ObjectLiteral } from 'typeorm';

import { checkArgument, checkKeys, metadataOf } from '../check-arguments';
import type { CounterColumn, TargetTable } from '../model/definition';
import { isKeyText, keyText, targetId } from '../model/target';
import { describe } from '../describe';
import { ConfigurationError } from '../errors';
import type { JobContext } from './context';

/** A key of a target: the value by which sources refer to it, several key columns as an array. */
export type TargetKey = string | number | bigint | readonly (string | number | bigint)[];

/** Which targets; all when empty. */
export interface TargetFilter {
  /** The target entity. */
  readonly target?: EntityTarget<ObjectLiteral> | undefined;
  /** Keys by which sources refer to the targets (usually the primary key). Needs `target`. */
  readonly ids?: readonly TargetKey[] | undefined;
}

/** A filter, resolved: target tables, and the ids of single targets; `null` is all. */
export interface TargetSelection {
  readonly targetTables: readonly TargetTable[] | null;
  readonly targets: readonly string[] | null;
}

const FILTER = 'the filter of targets';

/**
 * The targets that a filter names.
 *
 * @throws ConfigurationError when the entity has no counter columns, or ids do not fit its key
 */
export function selectTargets(context: JobContext, filter: TargetFilter): TargetSelection {
  checkKeys(filter, ['target', 'ids'], FILTER);
  const { target, ids } = filter;
  checkIds(ids, FILTER);
  if (target === undefined) {
    if (ids === undefined) return { targetTables: null, targets: null };
    throw new ConfigurationError(['`ids` need `target`: the entity whose rows they name']);
  }
  const targetTables = targetTablesOf(context, target);
  return { targetTables, targets: ids === undefined ? null : ids.flatMap((id) => idsOf(targetTables, id)) };
}

/** By whichever of its keys an id may name the target; an entity that is reached by several is several target tables. */
function idsOf(targetTables: readonly TargetTable[], id: TargetKey): string[] {
  const fitting = targetTables.flatMap((targetTable) => fit(targetTable, id) ?? []);
  // Refused with a message that says which key was expected.
  return fitting.length > 0 ? fitting : targetTables.map((targetTable) => idOf(targetTable, id));
}

/**
 * Refuses ids that are no list.
 *
 * @throws ConfigurationError
 */
export function checkIds(ids: unknown, where: string): void {
  checkArgument(ids === undefined || Array.isArray(ids), where, 'ids to be a list of keys', ids);
}

/** The target tables of one entity. */
function targetTablesOf({ dataSource, definitions }: JobContext, target: EntityTarget<ObjectLiteral>): TargetTable[] {
  const metadata = metadataOf(dataSource, target);
  // Classes of one table share its rows: the target table's own metadata are those of the root.
  const targetTables = [...definitions.targetTables.values()].filter(
    (targetTable) => targetTable.tablePath === metadata.tablePath,
  );
  if (targetTables.length > 0) return targetTables;
  throw new ConfigurationError([`${metadata.name} has no counter columns: name an entity that a counter targets`]);
}

/**
 * A counter column by its property.
 *
 * @throws ConfigurationError when there is none of that name
 */
export function columnOf(context: JobContext, target: EntityTarget<ObjectLiteral>, property: string): CounterColumn {
  const columns = targetTablesOf(context, target).flatMap((targetTable) => [...targetTable.columns.values()]);
  const column = columns.find((candidate) => candidate.property === property);
  if (column !== undefined) return column;
  const known = columns.map((candidate) => candidate.property).join(', ');
  const { name } = context.dataSource.getMetadata(target);
  throw new ConfigurationError([`${name}.${property} is no counter column. Known: ${known}`]);
}

/**
 * The target id of a key given by the user.
 *
 * @throws ConfigurationError when it has other parts than the key, or one that the key's type cannot hold
 */
export function idOf(targetTable: TargetTable, id: TargetKey): string {
  const target = fit(targetTable, id);
  if (target !== null) return target;
  const keys = targetTable.keys.map(({ name, sqlType }) => `${name} (${sqlType})`).join(', ');
  throw new ConfigurationError([
    `expected an id of ${targetTable.metadata.name} to name ${keys}, got: ${describe(id)}. Give one value per key column`,
  ]);
}

/** The target id of a key; `null` when it has other parts than the key, or one that the key's type cannot hold. */
function fit({ id: tableId, keys }: TargetTable, given: TargetKey): string | null {
  const parts = [given].flat();
  const texts = parts.map((part, i) => keyText(part, keys[i]?.sqlType));
  // Of a number beyond them, the last digits are not what the caller meant.
  const areExact = parts.every((part) => !Number.isInteger(part) || Number.isSafeInteger(part));
  const areKeys = keys.every(({ sqlType }, i) => isKeyText(texts[i] ?? '', sqlType));
  return parts.length === keys.length && areExact && areKeys ? targetId(tableId, texts) : null;
}
