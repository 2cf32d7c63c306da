import type { DataSource, EntityMetadata, EntityTarget } from 'typeorm';

import { describe } from '../describe';
import { didYouMean } from '../suggest';
import type { KeyColumn } from './definition';
import type { ParsedOptions, ParsedPolymorphic } from './parse-options';
import { type ColumnMetadata, sqlTypeOf } from './sql-type';
import { findStored, suggestColumn } from './stored-column';

/** A target entity, and how source rows refer to its rows. */
export interface Endpoint {
  readonly metadata: EntityMetadata;
  readonly keys: readonly KeyColumn[];
  /** In the order of `keys`. */
  readonly foreignKeys: readonly KeyColumn[];
  readonly type: { readonly column: string; readonly value: string } | null;
}

/** What one declaration is resolved against, and where it reports. */
export interface ResolveContext {
  readonly dataSource: DataSource;
  /** The source. */
  readonly metadata: EntityMetadata;
  readonly parsed: ParsedOptions;
  readonly label: string;
  readonly report: (message: string) => void;
}

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
  return pairs.length === 0 ? [] : [endpoint(relation.inverseEntityMetadata, pairs, null, context)];
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
function joinPairs(relation: Relation): readonly (readonly [ColumnMetadata, ColumnMetadata])[] {
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
): readonly (readonly [ColumnMetadata, ColumnMetadata])[] {
  return columns.flatMap((column, index) => {
    const other = referenced[index];
    return other === undefined ? [] : [[column, other] as const];
  });
}

function endpoint(
  metadata: EntityMetadata,
  pairs: readonly (readonly [ColumnMetadata, ColumnMetadata])[],
  type: Endpoint['type'],
  { dataSource }: ResolveContext,
): Endpoint {
  const key = (column: ColumnMetadata): KeyColumn =>
    Object.freeze({ name: column.databaseName, sqlType: sqlTypeOf(column, dataSource.driver) });
  // One order whatever the relation's: the key's columns are part of the kind's id.
  const sorted = pairs.toSorted(([, a], [, b]) => (a.databaseName < b.databaseName ? -1 : 1));
  return {
    metadata,
    keys: sorted.map(([, referenced]) => key(referenced)),
    foreignKeys: sorted.map(([column]) => key(column)),
    type,
  };
}

function resolvePolymorphic(polymorphic: ParsedPolymorphic, context: ResolveContext): readonly Endpoint[] {
  const id = requireOwn('id', polymorphic.id, context);
  const type = requireOwn('type', polymorphic.type, context);
  const endpoints: Endpoint[] = [];
  for (const [value, entity] of polymorphic.targets) {
    const metadata = resolveEntity(value, entity, context);
    const [key, ...more] = metadata?.primaryColumns ?? [];
    if (metadata === null || id === undefined || type === undefined) continue;
    if (key === undefined || more.length > 0) {
      context.report(
        `expected 'polymorphic.targets.${value}' to have one primary column, got: ${metadata.primaryColumns.map(({ propertyPath }) => propertyPath).join(', ') || 'none'} of ${metadata.name}. Leave it out, and list it in 'ignore'`,
      );
    } else {
      endpoints.push(endpoint(metadata, [[id, key]], Object.freeze({ column: type.databaseName, value }), context));
    }
  }
  return endpoints;
}

function requireOwn(
  option: 'id' | 'type',
  path: string,
  { metadata, report }: ResolveContext,
): ColumnMetadata | undefined {
  const column = findStored(metadata, path);
  if (column === undefined)
    report(
      `expected 'polymorphic.${option}' to be a column of ${metadata.name}, got: '${path}'${suggestColumn(metadata, path)}`,
    );
  return column;
}

function resolveEntity(value: string, entity: unknown, { dataSource, report }: ResolveContext): EntityMetadata | null {
  const target = entity as EntityTarget<object>;
  if (
    (typeof entity === 'function' || (typeof entity === 'object' && entity !== null)) &&
    dataSource.hasMetadata(target)
  )
    return dataSource.getMetadata(target);
  report(
    `expected 'polymorphic.targets.${value}' to be an entity of this DataSource, got: ${describe(entity)}. Add it to 'entities'`,
  );
  return null;
}
