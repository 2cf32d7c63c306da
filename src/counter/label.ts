import type { ResolveContext } from './endpoint';

type Named = Pick<ResolveContext, 'metadata' | 'parsed' | 'dataSource'>;

/** For messages, best effort when something is wrong: `Post.author → User.postsCount`. */
export function labelOf(context: Named): string {
  return `${context.metadata.name}.${wayOf(context)} → ${destinationOf(context)}`;
}

/** Source, way, target and columns: `Post.author>User.postsCount`. */
export function identityOf(context: Named): string {
  return `${context.metadata.name}.${wayOf(context)}>${destinationOf(context)}`;
}

function wayOf({ parsed: { relation, polymorphic } }: Named): string {
  return relation ?? polymorphic?.id ?? '?';
}

function destinationOf({ metadata, parsed, dataSource }: Named): string {
  const relation = metadata.relations.find(({ propertyPath }) => propertyPath === parsed.relation);
  const entities = [...(parsed.polymorphic?.targets.values() ?? [])].flatMap((entity) =>
    dataSource.hasMetadata(entity) ? [dataSource.getMetadata(entity).name] : [],
  );
  const targets = relation === undefined ? entities : [relation.inverseEntityMetadata.name];
  const columns = typeof parsed.column === 'string' ? parsed.column : (parsed.columns ?? []).join('|');
  return `${[...new Set(targets)].join('|') || '?'}.${columns}`;
}
