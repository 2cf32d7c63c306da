import type { EntityTarget, ObjectLiteral } from 'typeorm';

import { checkArgument, checkKeys, metadataOf } from '../check-arguments';
import type { CounterColumn, TargetKind } from '../model/definition';
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

/** A filter, resolved: kinds, and the ids of single targets; `null` is all. */
export interface TargetSelection {
  readonly kinds: readonly TargetKind[] | null;
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
    if (ids === undefined) return { kinds: null, targets: null };
    throw new ConfigurationError(['`ids` need `target`: the entity whose rows they name']);
  }
  const kinds = kindsOf(context, target);
  return { kinds, targets: ids === undefined ? null : ids.flatMap((id) => idsOf(kinds, id)) };
}

/** By whichever of its keys an id may name the target; the kinds of an entity that is reached by several differ in them. */
function idsOf(kinds: readonly TargetKind[], id: TargetKey): string[] {
  const fitting = kinds.flatMap((kind) => fit(kind, id) ?? []);
  // Refused with a message that says which key was expected.
  return fitting.length > 0 ? fitting : kinds.map((kind) => idOf(kind, id));
}

/**
 * Refuses ids that are no list.
 *
 * @throws ConfigurationError
 */
export function checkIds(ids: unknown, where: string): void {
  checkArgument(ids === undefined || Array.isArray(ids), where, 'ids to be a list of keys', ids);
}

/** The kinds of one target entity. */
function kindsOf({ dataSource, definitions }: JobContext, target: EntityTarget<ObjectLiteral>): TargetKind[] {
  const metadata = metadataOf(dataSource, target);
  // Classes of one table share its rows: the kind's own metadata are those of the root.
  const kinds = [...definitions.kinds.values()].filter((kind) => kind.tablePath === metadata.tablePath);
  if (kinds.length > 0) return kinds;
  throw new ConfigurationError([`${metadata.name} has no counter columns: name an entity that a counter targets`]);
}

/**
 * A counter column by its property.
 *
 * @throws ConfigurationError when there is none of that name
 */
export function columnOf(context: JobContext, target: EntityTarget<ObjectLiteral>, property: string): CounterColumn {
  const columns = kindsOf(context, target).flatMap((kind) => [...kind.columns.values()]);
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
export function idOf(kind: TargetKind, id: TargetKey): string {
  const target = fit(kind, id);
  if (target !== null) return target;
  const keys = kind.keys.map(({ name, sqlType }) => `${name} (${sqlType})`).join(', ');
  throw new ConfigurationError([
    `expected an id of ${kind.metadata.name} to name ${keys}, got: ${describe(id)}. Give one value per key column`,
  ]);
}

/** The target id of a key; `null` when it has other parts than the key, or one that the key's type cannot hold. */
function fit({ id: kind, keys }: TargetKind, given: TargetKey): string | null {
  const parts = [given].flat();
  const texts = parts.map((part, i) => keyText(part, keys[i]?.sqlType));
  // Of a number beyond them, the last digits are not what the caller meant.
  const areExact = parts.every((part) => !Number.isInteger(part) || Number.isSafeInteger(part));
  const areKeys = keys.every(({ sqlType }, i) => isKeyText(texts[i] ?? '', sqlType));
  return parts.length === keys.length && areExact && areKeys ? targetId(kind, texts) : null;
}
