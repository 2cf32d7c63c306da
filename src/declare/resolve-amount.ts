import { AmountError } from '../errors';
import { scaleAmount } from '../model/amount';
import type { Amount, SourceEntity } from '../model/definition';
import type { ResolveContext } from './endpoint';
import { baseTypeOf, type ColumnMetadata, scaleOf } from '../model/sql-type';
import { findStored, suggestColumn } from '../model/stored-column';

/** What one row adds; `null` on a mistake, which is reported. `columns` are all columns the counter may write. */
export function resolveAmount(columns: readonly ColumnMetadata[], context: ResolveContext): Amount | null {
  const { incrementBy } = context.parsed;
  if (typeof incrementBy === 'function')
    return Object.freeze({ from: 'function', fn: incrementBy as (source: SourceEntity) => unknown });
  if (typeof incrementBy === 'string') return resolveProperty(incrementBy, columns, context);
  return resolveConstant(incrementBy, columns, context);
}

function resolveConstant(
  value: number | bigint,
  columns: readonly ColumnMetadata[],
  { dataSource, label, report }: ResolveContext,
): Amount | null {
  if (value === 0 || value === 0n)
    report(
      "expected 'incrementBy' not to be 0, which counts nothing. Remove the counter, or use a property or a function",
    );
  try {
    for (const column of columns)
      scaleAmount(value, scaleOf(column, dataSource.driver) ?? 0, { label, from: "'incrementBy'" });
    return Object.freeze({ from: 'constant', value });
  } catch (error) {
    if (!(error instanceof AmountError)) throw error;
    report(error.message.slice(`${label}: `.length));
    return null;
  }
}

function resolveProperty(
  property: string,
  columns: readonly ColumnMetadata[],
  { metadata, dataSource, report }: ResolveContext,
): Amount | null {
  const column = findStored(metadata, property);
  if (column === undefined) {
    report(`unknown property '${property}' of ${metadata.name}, in 'incrementBy'${suggestColumn(metadata, property)}`);
    return null;
  }
  const scale = column.isArray ? null : scaleOf(column, dataSource.driver);
  if (scale === null) {
    report(
      `expected 'incrementBy' to be a smallint, integer, bigint or numeric property with a scale, got: '${property}', which is ${describeType(column, dataSource.driver)}`,
    );
    return null;
  }
  for (const target of columns) {
    const room = scaleOf(target, dataSource.driver) ?? 0;
    if (scale > room) {
      report(
        `expected ${target.entityMetadata.name}.${target.propertyPath} to have at least the scale of ${metadata.name}.${property} (${scale}), got: ${room}. Declare { type: 'numeric', precision: 12, scale: ${scale} }`,
      );
    }
  }
  return Object.freeze({ from: 'column', column: column.databaseName });
}

function describeType(column: ColumnMetadata, driver: ResolveContext['dataSource']['driver']): string {
  const type = baseTypeOf(column, driver);
  if (column.isArray) return 'an array. Use a function';
  if (type === 'real' || type === 'double precision')
    return `${type}, whose sums are not exact. Make it numeric with a scale, or use a function that rounds`;
  return type === 'numeric'
    ? "numeric without precision and scale. Declare both: { type: 'numeric', precision: 12, scale: 2 }"
    : `${type}. Use a function`;
}
