import type { KeyColumn, TargetTable } from '../../model/definition';
import { keyValuesOf } from '../../model/target';
import { escapeName } from './escape';

/** Keys of targets as one text array per key column: the first parameters of a statement. */
export function keyArrays(targetTable: TargetTable, targets: readonly string[]): (string | undefined)[][] {
  const values = targets.map(keyValuesOf);
  return targetTable.keys.map((_, i) => values.map((key) => key[i]));
}

/** The keys that the first parameters hold, as rows `k(k0, k1, …, ordinal)` to select from. */
export function listedKeys(columns: number): string {
  const names = indices(columns).map((i) => `k${i}`);
  return `unnest(${textArrays(columns)}) WITH ORDINALITY AS k(${[...names, 'ordinal'].join(', ')})`;
}

/** The same with the ids of the targets, which the parameter behind the keys holds: `k(k0, k1, …, target, ordinal)`. */
export function listedTargets(columns: number): string {
  const names = indices(columns).map((i) => `k${i}`);
  return `unnest(${textArrays(columns + 1)}) WITH ORDINALITY AS k(${[...names, 'target', 'ordinal'].join(', ')})`;
}

/** A condition that joins rows of a table with {@link listedKeys}. */
export function matchesListed(alias: string, keys: readonly KeyColumn[]): string {
  return keys.map((key, i) => `${alias}.${escapeName(key.name)} = k.k${i}::${key.sqlType}`).join(' AND ');
}

/** A condition that expressions make up one of the keys that the first parameters hold. */
export function amongKeys(expressions: readonly string[], sqlTypes: readonly string[]): string {
  if (expressions.length === 1) return `${expressions[0]} = ANY($1::text[]::${sqlTypes[0]}[])`;
  const typed = sqlTypes.map((type, i) => `w${i}::${type}`).join(', ');
  const names = sqlTypes.map((_, i) => `w${i}`).join(', ');
  return `(${expressions.join(', ')}) IN (SELECT ${typed} FROM unnest(${textArrays(sqlTypes.length)}) AS w(${names}))`;
}

function textArrays(columns: number): string {
  return indices(columns)
    .map((i) => `$${i + 1}::text[]`)
    .join(', ');
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
