import type { DataSource, EntityMetadata } from 'typeorm';

import { type ParsedOptions, type ParsedPolymorphic, pathOfType } from './parse-options';
import { walk } from '../model/walk';

interface Named {
  readonly dataSource: DataSource;
  /** The entity that carries the declaration. */
  readonly metadata: EntityMetadata;
  readonly parsed: ParsedOptions;
}

/** For messages, best effort when something is wrong: `Post.author → User.postsCount`. */
export function labelOf(context: Named): string {
  return `${context.metadata.name}.${wayOf(context)} → ${destinationOf(context)}`;
}

/** Source, way, target and columns: `Post.author>User.postsCount`. */
export function identityOf(context: Named): string {
  return `${context.metadata.name}.${wayOf(context)}>${destinationOf(context)}`;
}

function wayOf({ parsed: { relation, junction, polymorphic } }: Named): string {
  if (polymorphic === null) return relation ?? junction ?? '?';
  const { id, path } = polymorphic;
  return path === null ? id : `${id}.${typeof path === 'string' ? path : JSON.stringify(path)}`;
}

function destinationOf(named: Named): string {
  const { column, columns } = named.parsed;
  const properties = typeof column === 'string' ? column : (columns ?? []).join('|');
  return `${[...new Set(targetsOf(named))].join('|') || '?'}.${properties}`;
}

function targetsOf({ metadata, parsed: { relation, junction, polymorphic }, dataSource }: Named): string[] {
  if (polymorphic !== null) return typedEnds(polymorphic, dataSource);
  return junction === null ? ends(metadata, relation) : [metadata.name];
}

function typedEnds(polymorphic: ParsedPolymorphic, dataSource: DataSource): string[] {
  return [...polymorphic.targets].flatMap(([type, entity]) => {
    if (!dataSource.hasMetadata(entity)) return [];
    const metadata = dataSource.getMetadata(entity);
    const further = pathOfType(polymorphic, type);
    return further === undefined ? [metadata.name] : ends(metadata, further);
  });
}

/** The entity that a path leads to; none when there is a mistake in it. */
function ends(metadata: EntityMetadata, path: string | null): string[] {
  const { relations, rest } = walk(metadata, path ?? '');
  const last = relations.at(-1);
  return last === undefined || rest !== '' ? [] : [last.inverseEntityMetadata.name];
}
