import type { EntityMetadata } from 'typeorm';

import { type Endpoint, referenceOf, type ResolveContext } from './endpoint';
import { endpointAt } from './resolve-path';
import { resolvePolymorphic } from './resolve-polymorphic';
import { splitWhere } from './split-where';
import { hopsOf } from './walk';

/** Where a declaration leads, and what of its `where` is about the source's own columns. */
export interface Destination {
  readonly endpoints: readonly Endpoint[];
  readonly where: unknown;
}

/** The targets of a declaration; none when there is a mistake, which is reported. */
export function resolveTargets(context: ResolveContext): Destination {
  const { relation, polymorphic, where } = context.parsed;
  if (polymorphic !== null)
    return { endpoints: withoutViews(resolvePolymorphic(polymorphic, context), context), where };
  return relation === null ? { endpoints: [], where } : resolveRelation(relation, context);
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
  return { endpoints: withoutViews([endpointAt(entry, further, along, context)], context), where: own };
}

function withoutViews(endpoints: readonly Endpoint[], { report }: ResolveContext): readonly Endpoint[] {
  return endpoints.filter(({ metadata, path }) => {
    const views = [metadata, ...(path?.steps ?? []).map((step) => step.metadata)].filter(isView);
    for (const view of views)
      report(`expected the target to be a table, got: the view ${view.name}. Count on the table behind it`);
    return views.length === 0;
  });
}

function isView({ tableType }: EntityMetadata): boolean {
  return tableType === 'view';
}
