import type { EntityMetadata } from 'typeorm';

import type { KeyColumn, Path, PathStep } from '../model/definition';
import { type Endpoint, type Reference, referenceOf, type ResolveContext } from './endpoint';
import { columnsOfInterest } from '../model/relevant-columns';
import type { Hop } from '../model/walk';
import { compileWhere, type Where } from '../model/where/where';

/** What a `where` says of the rows along a path: one entry per intermediate row. */
export type Along = readonly unknown[];

/** The row that a source itself refers to. */
export interface Entry {
  readonly metadata: EntityMetadata;
  readonly reference: Reference;
  /** `null` when the source refers to it by a polymorphic id. */
  readonly hop: Hop | null;
  readonly type: Endpoint['type'];
}

/** An endpoint that a source reaches through its entry and these further hops. */
export function endpointAt(
  { metadata, reference, hop, type }: Entry,
  further: readonly Hop[],
  along: Along,
  context: ResolveContext,
): Endpoint {
  const references = [reference, ...further.map(({ pairs }) => referenceOf(pairs, context.dataSource))];
  const last = references.at(-1);
  if (further.length === 0 || last === undefined) return { metadata, ...reference, path: null, type };
  const before = [hop, ...further];
  const steps = further.map((next, i) =>
    stepOf(
      next.relation.entityMetadata,
      { inward: references[i], outward: references[i + 1], before: before[i] ?? null },
      along[i],
      context,
    ),
  );
  const path = pathOf(reference.foreignKeys, steps, type, context);
  return {
    metadata: further.at(-1)?.relation.inverseEntityMetadata ?? metadata,
    keys: last.keys,
    foreignKeys: last.foreignKeys.map(({ sqlType }, i) => Object.freeze({ name: `${path.id}#${i}`, sqlType })),
    path,
    type,
  };
}

interface Ends {
  readonly inward: Reference | undefined;
  readonly outward: Reference | undefined;
  /** The hop that leads to the row. */
  readonly before: Hop | null;
}

function stepOf(
  metadata: EntityMetadata,
  { inward, outward, before }: Ends,
  where: unknown,
  context: ResolveContext,
): PathStep {
  const { driver } = context.dataSource;
  const compiled = where === undefined ? null : compileWhere(where, { metadata, driver, problem: context.report });
  const deletedColumn = context.parsed.includeSoftDeleted ? null : (metadata.deleteDateColumn?.databaseName ?? null);
  const keys = inward?.keys ?? [];
  const foreignKeys = outward?.foreignKeys ?? [];
  return Object.freeze({
    metadata,
    keys: Object.freeze([...keys]),
    foreignKeys: Object.freeze([...foreignKeys]),
    deletedColumn,
    where: compiled,
    relevant: relevantOf(metadata, [...keys, ...foreignKeys], deletedColumn, compiled),
    mayAppear: mayAppear(before),
  });
}

function relevantOf(
  metadata: EntityMetadata,
  keys: readonly KeyColumn[],
  deletedColumn: string | null,
  where: Where | null,
): ReadonlySet<string> {
  const named = [
    ...keys.map(({ name }) => name),
    ...(deletedColumn === null ? [] : [deletedColumn]),
    ...(where?.columns ?? []),
  ];
  return columnsOfInterest(metadata, { named, seen: null, functionsCount: false }).relevant;
}

/** Whether rows may refer to one that is not there yet, as far as the database's foreign key lets them. */
function mayAppear(before: Hop | null): boolean {
  const foreignKey = before?.relation.isOneToOneNotOwner === false ? before.relation.foreignKeys[0] : undefined;
  return foreignKey === undefined || foreignKey.deferrable !== undefined;
}

function pathOf(
  entry: readonly KeyColumn[],
  steps: readonly PathStep[],
  type: Endpoint['type'],
  { label }: ResolveContext,
): Path {
  const names = (columns: readonly KeyColumn[]): readonly string[] => columns.map(({ name }) => name);
  const way = steps.map(({ metadata, keys, foreignKeys, deletedColumn }) => [
    metadata.tablePath,
    names(keys),
    names(foreignKeys),
    deletedColumn,
  ]);
  const conditions = steps.some(({ where }) => where !== null) ? label : null;
  const id = `path:${JSON.stringify([names(entry), type?.value ?? null, way, conditions])}`;
  return Object.freeze({ id, entry, steps: Object.freeze([...steps]) });
}
