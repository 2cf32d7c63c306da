import type { EntityMetadata } from 'typeorm';

import { didYouMean } from '../suggest';
import { type ColumnPair, type Endpoint, endpointOf, type ResolveContext } from './endpoint';
import { resolvePolymorphic } from './resolve-polymorphic';
import type { ColumnMetadata } from './sql-type';
import { findStored } from './stored-column';

type Relation = EntityMetadata['relations'][number];

/** The targets of a declaration; none when there is a mistake, which is reported. */
export function resolveTargets(context: ResolveContext): readonly Endpoint[] {
  const { relation, polymorphic } = context.parsed;
  const endpoints =
    polymorphic !== null
      ? resolvePolymorphic(polymorphic, context)
      : relation !== null
        ? resolveRelation(relation, context)
        : [];
  return endpoints.filter(({ metadata }) => !isView(metadata, context));
}

function isView(metadata: EntityMetadata, { report }: ResolveContext): boolean {
  if (metadata.tableType !== 'view') return false;
  report(`expected the target to be a table, got: the view ${metadata.name}. Count on the table behind it`);
  return true;
}

function resolveRelation(path: string, context: ResolveContext): readonly Endpoint[] {
  const { metadata, report } = context;
  const relation = metadata.relations.find(({ propertyPath }) => propertyPath === path);
  if (relation === undefined) {
    report(adviseRelation(path, metadata));
    return [];
  }
  if (!relation.isManyToOne && !relation.isOneToOneOwner) {
    report(
      `expected 'relation' to be the owning side of a many-to-one or one-to-one relation, got: '${path}', which is ${relation.relationType}${relation.isOneToOneNotOwner ? ' and not the owner' : ''}. Declare the counter on the entity that has the foreign key`,
    );
    return [];
  }
  const pairs = joinPairs(relation);
  if (pairs.length === 0) report(`expected relation '${path}' to have join columns, got none. Give it a @JoinColumn`);
  return pairs.length === 0 ? [] : [endpointOf(relation.inverseEntityMetadata, pairs, null, context)];
}

function adviseRelation(path: string, metadata: EntityMetadata): string {
  const owning = metadata.relations.filter(({ isWithJoinColumn }) => isWithJoinColumn);
  const paths = owning.map(({ propertyPath }) => propertyPath);
  const [first = ''] = path.split('.');
  if (first !== path && paths.includes(first)) {
    return `expected 'relation' to be one relation, got the path '${path}'. Paths of several steps are not available yet: count on ${first}, or store the foreign key on ${metadata.name}`;
  }
  if (findStored(metadata, path) !== undefined)
    return `expected 'relation' to be a relation of ${metadata.name}, got: '${path}', which is a column. Name the relation that uses it`;
  const known = paths.length === 0 ? 'It has none' : `It has ${paths.join(', ')}`;
  return `unknown relation '${path}' of ${metadata.name}${didYouMean(path, paths) || `. ${known}`}`;
}

/** Join column and referenced column, in pairs. */
function joinPairs(relation: Relation): readonly ColumnPair[] {
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
