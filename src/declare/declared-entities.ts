import {
  type DataSource,
  type EntityMetadata,
  type EntitySchema,
  getMetadataArgsStorage,
  InstanceChecker,
} from 'typeorm';

import { type Declaration, declarationsOf, declaredTargets } from './declaration';
import type { Problems } from './problems';

/** A declaration together with the metadata of its source. */
export interface Declared {
  readonly metadata: EntityMetadata;
  readonly declaration: Declaration;
}

/** The declarations on entities of this DataSource. */
export function declaredIn(dataSource: DataSource): readonly Declared[] {
  const schemas = schemasOf(dataSource);
  return dataSource.entityMetadatas.flatMap((metadata) => {
    const holders: unknown[] = [metadata.target, ...schemas.filter((schema) => targetOf(schema) === metadata.target)];
    return holders.flatMap(declarationsOf).map((declaration) => ({ metadata, declaration }));
  });
}

// From the schema, metadata keep only its target; and schemas found by a glob are not among the options.
function schemasOf({ options }: DataSource): readonly EntitySchema[] {
  const entities: readonly unknown[] = Object.values(options.entities ?? {});
  const globs = entities.some((entity) => typeof entity === 'string');
  const schemas = globs ? [...entities, ...declaredTargets()] : entities;
  return [...new Set(schemas)].filter((entity) => InstanceChecker.isEntitySchema(entity));
}

function targetOf({ options }: EntitySchema): unknown {
  return options.target ?? options.name;
}

/**
 * Reports declarations that can never count: on classes that are no entities. A class that TypeORM knows as an entity
 * belongs to another DataSource, and is none of our business.
 */
export function reportNonEntities(dataSource: DataSource, problems: Problems): void {
  const storage = getMetadataArgsStorage();
  const entities = new Set<unknown>([
    ...storage.tables.map(({ target }) => target),
    ...dataSource.entityMetadatas.map(({ target }) => target),
  ]);
  for (const declared of declaredTargets()) {
    if (typeof declared !== 'function' || entities.has(declared)) continue;
    const advice = adviseNonEntity(declared, entities, dataSource);
    if (advice !== null) problems.add(`${declared.name}: expected @CounterCache on an entity, got: a class ${advice}`);
  }
}

function adviseNonEntity(
  declared: CallableFunction | NewableFunction,
  entities: ReadonlySet<unknown>,
  { entityMetadatas }: DataSource,
): string | null {
  const descends = (target: unknown): boolean =>
    typeof target === 'function' && (target.prototype as unknown) instanceof (declared as NewableFunction);
  const concrete = entityMetadatas.filter(({ target }) => descends(target)).map(({ name }) => name);
  if (concrete.length > 0) return `that entities extend. Counters are not inherited: decorate ${concrete.join(', ')}`;
  if ([...entities].some(descends)) return null;
  if (getMetadataArgsStorage().embeddeds.some((embedded) => (embedded.type as () => unknown)() === declared)) {
    return "that is embedded. Decorate the entity that embeds it, with 'relation' as a path, e.g. 'meta.author'";
  }
  return 'without @Entity. Add @Entity, or remove the counter';
}
