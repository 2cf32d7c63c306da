import type { EntityMetadata } from 'typeorm';

import { didYouMean } from '../suggest';
import type { ColumnMetadata } from './sql-type';
import { findStored } from './stored-column';

/** Relation metadata; TypeORM does not export the type by itself. */
export type Relation = EntityMetadata['relations'][number];

/** A column, and the column of another table that it refers to. */
export type ColumnPair = readonly [column: ColumnMetadata, referenced: ColumnMetadata];

/** One relation of a path, from the entity that has it to the next. */
export interface Hop {
  readonly relation: Relation;
  /** Columns of the entity, and those of the next one that they equal. */
  readonly pairs: readonly ColumnPair[];
}

/** The relations that a path names, as far as they exist. Relations of embedded classes have dots of their own. */
export function walk(
  metadata: EntityMetadata,
  path: string,
): { readonly relations: Relation[]; readonly rest: string } {
  const relations: Relation[] = [];
  let at = metadata;
  let rest = path;
  while (rest !== '') {
    const next = firstRelation(at, rest);
    if (next === undefined) break;
    relations.push(next);
    rest = rest.slice(next.propertyPath.length + 1);
    at = next.inverseEntityMetadata;
  }
  return { relations, rest };
}

function firstRelation({ relations }: EntityMetadata, path: string): Relation | undefined {
  // A dot at the end leads nowhere.
  const leads = (propertyPath: string): boolean =>
    path.startsWith(`${propertyPath}.`) && path.length > propertyPath.length + 1;
  return relations.find(({ propertyPath }) => path === propertyPath || leads(propertyPath));
}

/** The hops of a path; `null` when there is a mistake, which is reported. `option` and `from` say what it is a path of. */
export function hopsOf(
  metadata: EntityMetadata,
  path: string,
  { option, from }: { readonly option: string; readonly from: 'source' | 'row' },
  report: (message: string) => void,
): readonly Hop[] | null {
  const { relations, rest } = walk(metadata, path);
  if (rest !== '') {
    report(adviseRelation(rest, relations.at(-1)?.inverseEntityMetadata ?? metadata, option));
    return null;
  }
  const hops = relations.map((relation, i) => {
    const mayBeInverse = from === 'row' || i > 0;
    if (relation.isManyToOne || relation.isOneToOneOwner || (mayBeInverse && relation.isOneToOneNotOwner))
      return hopOf(relation, report);
    report(adviseOwner(relation, option));
    return null;
  });
  return hops.includes(null) ? null : hops.filter((hop) => hop !== null);
}

function hopOf(relation: Relation, report: (message: string) => void): Hop | null {
  const pairs = relation.isOneToOneNotOwner
    ? joinPairs(relation.inverseRelation).map(([column, referenced]) => [referenced, column] as const)
    : joinPairs(relation);
  if (pairs.length > 0) return { relation, pairs };
  report(`expected relation '${relation.propertyPath}' to have join columns, got none. Give it a @JoinColumn`);
  return null;
}

function adviseOwner(relation: Relation, option: string): string {
  if (relation.isManyToMany && option === 'relation')
    return `expected 'relation' to be the owning side of a many-to-one or one-to-one relation, got: '${relation.propertyPath}' of ${relation.entityMetadata.name}, which is many-to-many. To count its links, use { junction: '${relation.propertyPath}' } on the class`;
  const { propertyPath, relationType, isOneToOneNotOwner, entityMetadata } = relation;
  const type = `${relationType}${isOneToOneNotOwner ? ' and not the owner' : ''}`;
  return `expected '${option}' to be the owning side of a many-to-one or one-to-one relation, got: '${propertyPath}' of ${entityMetadata.name}, which is ${type}. Declare the counter on the entity that has the foreign key`;
}

function adviseRelation(path: string, metadata: EntityMetadata, option: string): string {
  const owning = metadata.relations.filter(({ isWithJoinColumn }) => isWithJoinColumn);
  const paths = owning.map(({ propertyPath }) => propertyPath);
  if (findStored(metadata, path) !== undefined)
    return `expected '${option}' to be a relation of ${metadata.name}, got: '${path}', which is a column. Name the relation that uses it`;
  const known = paths.length === 0 ? 'It has none' : `It has ${paths.join(', ')}`;
  return `unknown relation '${path}' of ${metadata.name}${didYouMean(path, paths) || `. ${known}`}`;
}

/** Join column and referenced column, in pairs. */
function joinPairs(relation: Relation | undefined): readonly ColumnPair[] {
  if (relation === undefined) return [];
  // A join column shared by two relations knows only the last of them, its foreign keys know both.
  const [foreignKey] = relation.foreignKeys;
  if (foreignKey !== undefined) return pair(foreignKey.columns, foreignKey.referencedColumns);
  return pair(
    relation.joinColumns,
    relation.joinColumns.map(({ referencedColumn }) => referencedColumn),
  );
}

function pair(
  columns: readonly ColumnMetadata[],
  referenced: readonly (ColumnMetadata | undefined)[],
): readonly ColumnPair[] {
  return columns.flatMap((column, index) => {
    const other = referenced[index];
    return other === undefined ? [] : [[column, other] as const];
  });
}
