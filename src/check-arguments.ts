import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';

import { describe, quote } from './describe';
import { ConfigurationError } from './errors';
import { didYouMean } from './suggest';

/**
 * Refuses what is no object, and keys that an options object does not have: a misspelt one would silently mean "all".
 *
 * @throws ConfigurationError with a suggestion for each
 */
export function checkKeys(given: unknown, known: readonly string[], what: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigurationError([`${what}: expected an object, got: ${describe(given)}. Known: ${known.join(', ')}`]);
  }
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw new ConfigurationError(
    unknown.map((key) => `${what}: unknown option ${quote(key)}${didYouMean(key, known)}. Known: ${known.join(', ')}`),
  );
}

/**
 * Refuses an argument that is not what the types ask for; callers without types would meet a TypeError far inside.
 *
 * @param isFit whether it is what was expected
 * @param where the method, or what of its arguments
 * @throws ConfigurationError
 */
export function checkArgument(isFit: boolean, where: string, expected: string, given: unknown): void {
  if (isFit) return;
  throw new ConfigurationError([`${where}: expected ${expected}, got: ${describe(given)}`]);
}

/**
 * The metadata of an entity that a caller names.
 *
 * @throws ConfigurationError when the DataSource has no such entity
 */
export function metadataOf(dataSource: DataSource, entity: EntityTarget<ObjectLiteral>): EntityMetadata {
  if (dataSource.hasMetadata(entity)) return dataSource.getMetadata(entity);
  const known = dataSource.entityMetadatas.map(({ name }) => name).join(', ');
  throw new ConfigurationError([`expected an entity of the DataSource, got: ${describe(entity)}. Known: ${known}`]);
}
