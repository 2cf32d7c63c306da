import type { EntityMetadata } from 'typeorm';

import { didYouMean } from '../suggest';
import type { ColumnPair } from '../model/walk';
import { type Endpoint, referenceOf, type ResolveContext } from './endpoint';
import { endpointAt } from './resolve-path';
import { resolvePolymorphic } from './resolve-polymorphic';
import { splitWhere } from './split-where';
import { hopsOf } from '../model/walk';

/**
 * Types whose values may be equal and written differently, or that the driver does not give exactly: a target would have
 * several ids.
 */
const INEXACT = /^(date|time|timestamp|interval|bytea|json|real|double precision|citext)/;

/** Where a declaration leads, and what of its `where` is about the source's own columns. */
export interface Destination {
  readonly endpoints: readonly Endpoint[];
  readonly where: unknown;
}

/** The source of a declaration: its entity, or the junction table; `null` when there is a mistake, which is reported. */
export function sourceOf(
  { metadata, parsed }: Pick<ResolveContext, 'metadata' | 'parsed'>,
  report: ResolveContext['report'],
): EntityMetadata | null {
  const { junction } = parsed;
  if (junction === null) return metadata;
  const relations = metadata.relations.filter(({ isManyToMany }) => isManyToMany);
  const source = relations.find(({ propertyPath }) => propertyPath === junction)?.junctionEntityMetadata;
  if (source !== undefined) return source;
  const paths = relations.map(({ propertyPath }) => propertyPath);
  const known = paths.length === 0 ? 'It has none' : `It has ${paths.join(', ')}`;
  report(
    `expected 'junction' to be a many-to-many relation of ${metadata.name}, got: '${junction}'${didYouMean(junction, paths) || `. ${known}`}`,
  );
  return null;
}

/** The targets of a declaration; none when there is a mistake, which is reported. */
export function resolveTargets(context: ResolveContext): Destination {
  const { relation, junction, polymorphic, where } = context.parsed;
  if (polymorphic !== null) return { endpoints: usable(resolvePolymorphic(polymorphic, context), context), where };
  if (junction !== null) return { endpoints: [declaringEnd(junction, context)], where };
  return relation === null ? { endpoints: [], where } : resolveRelation(relation, context);
}

/** The entity that declares a junction is the target; of the junction's columns, those of its side refer to it. */
function declaringEnd(junction: string, { metadata, declaring, dataSource }: ResolveContext): Endpoint {
  const relation = declaring.relations.find(({ propertyPath }) => propertyPath === junction);
  const columns = relation?.isManyToManyOwner === true ? metadata.ownerColumns : metadata.inverseColumns;
  const pairs = columns.flatMap((column): ColumnPair[] =>
    column.referencedColumn === undefined ? [] : [[column, column.referencedColumn]],
  );
  return { metadata: declaring, ...referenceOf(pairs, dataSource), path: null, type: null };
}

function resolveRelation(path: string, context: ResolveContext): Destination {
  const { metadata, report, parsed, dataSource } = context;
  const hops = hopsOf(metadata, path, { option: 'relation', from: 'source' }, report);
  const [first, ...further] = hops ?? [];
  if (hops === null || first === undefined) return { endpoints: [], where: undefined };
  const { own, along } = splitWhere(parsed.where, hops, report);
  const entry = {
    metadata: first.relation.inverseEntityMetadata,
    reference: referenceOf(first.pairs, dataSource),
    hop: first,
    type: null,
  };
  return { endpoints: usable([endpointAt(entry, further, along, context)], context), where: own };
}

/** Without those that cannot be targets, which are reported. */
function usable(endpoints: readonly Endpoint[], { report }: ResolveContext): readonly Endpoint[] {
  return endpoints.filter(({ metadata, keys, path }) => {
    const views = [metadata, ...(path?.steps ?? []).map((step) => step.metadata)].filter(isView);
    for (const view of views)
      report(`expected the target to be a table, got: the view ${view.name}. Count on the table behind it`);
    const inexact = keys.filter(({ sqlType }) => INEXACT.test(sqlType));
    for (const { name, sqlType } of inexact)
      report(
        `expected the key of ${metadata.name} to have one spelling per value, got: "${name}", which is ${sqlType}. Refer to it by an integer, uuid or text column`,
      );
    return views.length + inexact.length === 0;
  });
}

function isView({ tableType }: EntityMetadata): boolean {
  return tableType === 'view';
}
