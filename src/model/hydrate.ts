import type { Driver, EntityMetadata } from 'typeorm';

import type { Row, SourceEntity } from './definition';
import type { ColumnMetadata } from './sql-type';

/**
 * Builds what user functions see of a row: own columns hydrated as TypeORM does, on the prototype of the row's class
 * (of its child class, for single-table inheritance). A row that is asked for again and again is hydrated once.
 */
export function hydrator(
  metadata: EntityMetadata,
  needs: readonly string[],
  driver: Driver,
): (row: Row) => SourceEntity {
  const columns = metadata.columns.filter((column) => needs.includes(column.databaseName) && !isLazyJoin(column));
  const lazy = metadata.relations.filter(({ isLazy }) => isLazy).map(({ propertyName }) => propertyName);
  const prototypeOf = prototypes(metadata);
  // The last row, which all functions of a counter look at in turn; a WeakMap of all costs more than it saves.
  let last: { readonly row: Row; readonly entity: SourceEntity } | null = null;

  function hydrate(row: Row): SourceEntity {
    const entity = Object.create(prototypeOf(row)) as Record<string, unknown>;
    // A lazy relation is an accessor on the prototype, and looking at it would start a query.
    for (const property of lazy)
      Object.defineProperty(entity, property, { value: undefined, writable: true, configurable: true });
    for (const column of columns) {
      column.setEntityValue(entity, driver.prepareHydratedValue(row[column.databaseName], column));
    }
    return entity;
  }

  return (row) => {
    if (last?.row !== row) last = { row, entity: hydrate(row) };
    return last.entity;
  };
}

// Without a property of its own, a lazy relation's key has nowhere to go.
function isLazyJoin(column: ColumnMetadata): boolean {
  return column.isVirtual && column.relationMetadata?.isLazy === true;
}

function prototypes(metadata: EntityMetadata): (row: Row) => object {
  const own = prototypeOfTarget(metadata);
  const discriminator = metadata.discriminatorColumn?.databaseName;
  if (metadata.inheritancePattern !== 'STI' || discriminator === undefined) return () => own;
  const byValue = new Map(
    metadata.childEntityMetadatas.map((child) => [String(child.discriminatorValue), prototypeOfTarget(child)]),
  );
  return (row) => byValue.get(String(row[discriminator])) ?? own;
}

function prototypeOfTarget({ target }: EntityMetadata): object {
  return typeof target === 'function' ? (target.prototype as object) : Object.prototype;
}
