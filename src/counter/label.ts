import type { DataSource, EntityMetadata } from 'typeorm';

import type { ResolveContext } from './endpoint';
import type { ParsedPolymorphic } from './parse-options';
import { walk } from './walk';

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
  if (polymorphic === null) return relation ?? '?';
  const { id, path } = polymorphic;
  return path === null ? id : `${id}.${typeof path === 'string' ? path : JSON.stringify(path)}`;
}

function destinationOf({ metadata, parsed, dataSource }: Named): string {
  const targets =
    parsed.polymorphic === null ? ends(metadata, parsed.relation) : typedEnds(parsed.polymorphic, dataSource);
  const columns = typeof parsed.column === 'string' ? parsed.column : (parsed.columns ?? []).join('|');
  return `${[...new Set(targets)].join('|') || '?'}.${columns}`;
}

function typedEnds({ targets, path }: ParsedPolymorphic, dataSource: DataSource): string[] {
  return [...targets].flatMap(([type, entity]) => {
    if (!dataSource.hasMetadata(entity)) return [];
    const metadata = dataSource.getMetadata(entity);
    const further = typeof path === 'string' ? path : path?.[type];
    return further === undefined ? [metadata.name] : ends(metadata, further);
  });
}

/** The entity that a path leads to; none when there is a mistake in it. */
function ends(metadata: EntityMetadata, path: string | null): string[] {
  const { relations, rest } = walk(metadata, path ?? '');
  const last = relations.at(-1);
  return last === undefined || rest !== '' ? [] : [last.inverseEntityMetadata.name];
}
