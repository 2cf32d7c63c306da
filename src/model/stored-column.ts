import type { EntityMetadata } from 'typeorm';

import { didYouMean } from '../suggest';
import type { ColumnMetadata } from './sql-type';

/** Columns that exist in the table; a computed `@VirtualColumn` does not. */
export function storedColumns(metadata: EntityMetadata): readonly ColumnMetadata[] {
  return metadata.columns.filter(({ isVirtualProperty }) => !isVirtualProperty);
}

/** The stored column behind a property path; TypeORM's own lookup would also find a relation's. */
export function findStored(metadata: EntityMetadata, path: string): ColumnMetadata | undefined {
  return storedColumns(metadata).find(({ propertyPath }) => propertyPath === path);
}

/** The stored columns behind a property path, which may also name a relation or an embedded. */
export function findAllStored(metadata: EntityMetadata, path: string): readonly ColumnMetadata[] {
  const column = findStored(metadata, path);
  if (column !== undefined) return [column];
  const relation = metadata.relations.find(({ propertyPath }) => propertyPath === path);
  if (relation !== undefined) return relation.joinColumns;
  return storedColumns(metadata).filter(({ propertyPath }) => propertyPath.startsWith(`${path}.`));
}

/** `, did you mean …?`, or the columns there are. */
export function suggestColumn(metadata: EntityMetadata, path: string): string {
  const paths = storedColumns(metadata).map(({ propertyPath }) => propertyPath);
  return didYouMean(path, paths) || `. ${metadata.name} has ${paths.join(', ')}`;
}
