import type { EntityMetadata } from 'typeorm';

import type { ResolveContext } from './endpoint';
import { baseTypeOf, type ColumnMetadata, scaleOf } from '../model/sql-type';
import { findStored, suggestColumn } from '../model/stored-column';

const TOUCHABLE = new Set(['timestamp with time zone', 'timestamp without time zone', 'date']);

/** The counter column of a target behind a property, or `null` with the mistakes reported. */
export function resolveCounterColumn(
  metadata: EntityMetadata,
  property: string,
  context: ResolveContext,
): ColumnMetadata | null {
  const { report } = context;
  const column = findStored(metadata, property);
  if (column === undefined) {
    report(`unknown column '${property}' of ${metadata.name}${suggestColumn(metadata, property)}`);
    return null;
  }
  const name = `${metadata.name}.${property}`;
  const wrong = reservedUse(column) ?? wrongType(column, context) ?? wrongDefault(column);
  if (wrong === null) return column;
  report(`expected ${name} to be ${wrong}`);
  return null;
}

function reservedUse(column: ColumnMetadata): string | null {
  const use = useOf(column);
  return use === null ? null : `a column of its own, got: ${use}. Add a column for the counter`;
}

function useOf(column: ColumnMetadata): string | null {
  if (column.isPrimary) return 'a primary column';
  if (column.asExpression !== undefined) return 'a column generated from an expression';
  if (column.isGenerated) return 'a generated column';
  if (column.isVersion) return 'a version column';
  if (column.isCreateDate || column.isUpdateDate || column.isDeleteDate) return 'a date column of TypeORM';
  if (column.isDiscriminator || column.isTreeLevel || column.isNestedSetLeft || column.isNestedSetRight)
    return 'a column of TypeORM';
  return column.relationMetadata === undefined ? null : 'a foreign key';
}

function wrongType(column: ColumnMetadata, { dataSource }: ResolveContext): string | null {
  const type = baseTypeOf(column, dataSource.driver);
  const expected = 'smallint, integer, bigint or numeric with a scale';
  if (column.isArray) return `${expected}, got: an array. Add a column for the counter`;
  if (type === 'real' || type === 'double precision')
    return `${expected}, got: ${type}, whose sums are not exact. Use integer, bigint or numeric with a scale`;
  if (type === 'numeric' && scaleOf(column, dataSource.driver) === null)
    return `${expected}, got: numeric without precision and scale. Declare both: { type: 'numeric', precision: 12, scale: 2 }`;
  return scaleOf(column, dataSource.driver) === null ? `${expected}, got: ${type}. Change its type` : null;
}

function wrongDefault(column: ColumnMetadata): string | null {
  const { default: value, isNullable } = column;
  const given = value !== undefined && value !== null;
  if (!given && !isNullable)
    return 'nullable or to have a default (rows are inserted without it), got neither. Declare { default: 0 }';
  if (given && typeof value !== 'function' && Number(value) !== 0)
    return `0 in new rows, got: { default: ${JSON.stringify(value)} }. Declare { default: 0 }`;
  return null;
}

/** The timestamp column to write together with the counter; `null` when none is asked for, or on a mistake. */
export function resolveTouch(
  metadata: EntityMetadata,
  { parsed, dataSource, report }: ResolveContext,
): ColumnMetadata | null {
  const { touch } = parsed;
  if (touch === null) return null;
  if (touch === true) {
    if (metadata.updateDateColumn === undefined)
      report(
        `expected ${metadata.name} to have an @UpdateDateColumn, as 'touch: true' writes it, got none. Name a date property`,
      );
    return metadata.updateDateColumn ?? null;
  }
  const column = findStored(metadata, touch);
  if (column === undefined) {
    report(`unknown column '${touch}' of ${metadata.name}, in 'touch'${suggestColumn(metadata, touch)}`);
    return null;
  }
  const type = baseTypeOf(column, dataSource.driver);
  const got = column.isArray
    ? 'an array'
    : column.isDeleteDate
      ? 'the delete date'
      : column.isPrimary
        ? 'a primary column'
        : column.asExpression !== undefined
          ? 'a generated column'
          : null;
  if (got === null && TOUCHABLE.has(type)) return column;
  report(
    `expected 'touch' to be a timestamp or date column of ${metadata.name}, got: '${touch}', which is ${got ?? type}. Name another, or true for the @UpdateDateColumn`,
  );
  return null;
}
