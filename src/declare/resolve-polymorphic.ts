import type { EntityMetadata, EntityTarget } from 'typeorm';

import { describe } from '../describe';
import { areIntegers, type Endpoint, referenceOf, type ResolveContext } from './endpoint';
import { type ParsedPolymorphic, pathOfType } from './parse-options';
import { endpointAt } from './resolve-path';
import { type ColumnMetadata, sqlTypeOf } from '../model/sql-type';
import { findStored, suggestColumn } from '../model/stored-column';
import { type Hop, hopsOf } from '../model/walk';

const TEXTS = new Set(['text', 'character varying', 'bpchar']);

/** One endpoint for each declared type. */
export function resolvePolymorphic(polymorphic: ParsedPolymorphic, context: ResolveContext): readonly Endpoint[] {
  const id = requireOwn('id', polymorphic.id, context);
  const type = requireOwn('type', polymorphic.type, context);
  return [...polymorphic.targets].flatMap(([value, entity]) => {
    const metadata = resolveEntity(value, entity, context);
    const key = metadata === null ? null : singleKey(value, metadata, context);
    if (metadata === null || key === null || id === undefined || type === undefined) return [];
    const further = canHold(id, key, context) ? hopsFrom(metadata, value, polymorphic, context) : null;
    if (further === null) return [];
    const entry = {
      metadata,
      reference: referenceOf([[id, key]], context.dataSource),
      hop: null,
      type: Object.freeze({ column: type.databaseName, value }),
    };
    return endpointAt(entry, further, [], context);
  });
}

/** The further way from a row of one type; none when that row is the target itself. */
function hopsFrom(
  metadata: EntityMetadata,
  type: string,
  polymorphic: ParsedPolymorphic,
  { report }: ResolveContext,
): readonly Hop[] | null {
  const further = pathOfType(polymorphic, type);
  return further === undefined ? [] : hopsOf(metadata, further, { option: 'polymorphic.path', from: 'row' }, report);
}

function singleKey(value: string, metadata: EntityMetadata, { report }: ResolveContext): ColumnMetadata | null {
  const [key, ...more] = metadata.primaryColumns;
  if (key !== undefined && more.length === 0) return key;
  const got = metadata.primaryColumns.map(({ propertyPath }) => propertyPath).join(', ') || 'none';
  report(
    `expected 'polymorphic.targets.${value}' to have one primary column, got: ${got} of ${metadata.name}. Leave it out, and list it in 'ignore'`,
  );
  return null;
}

function canHold(id: ColumnMetadata, key: ColumnMetadata, { dataSource, report }: ResolveContext): boolean {
  const [idType, keyType] = [sqlTypeOf(id, dataSource.driver), sqlTypeOf(key, dataSource.driver)];
  if (idType === keyType || areIntegers(idType, keyType) || TEXTS.has(idType)) return true;
  report(
    `expected 'polymorphic.id' to hold keys of ${key.entityMetadata.name} (${keyType}), got: '${id.propertyPath}', which is ${idType}. Use text when the targets' keys differ in type`,
  );
  return false;
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
