import type { Driver, EntityMetadata } from 'typeorm';

/** Column metadata; TypeORM does not export the type by itself. */
export type ColumnMetadata = EntityMetadata['columns'][number];

/** Types that mean a length of 1 when a cast names no length, and what compares alike without one. */
const UNBOUNDED: Readonly<Record<string, string>> = { character: 'bpchar', bit: 'bit varying' };

/** The column's type as the driver normalises it, without length, array or enum name; e.g. `integer`, `enum`. */
export function baseTypeOf(column: ColumnMetadata, driver: Driver): string {
  return driver.normalizeType(column);
}

/** The SQL type to cast a text parameter to, so that it compares with the column: `integer`, `uuid`, `"public"."mood_enum"[]`. */
export function sqlTypeOf(column: ColumnMetadata, driver: Driver): string {
  const base = baseTypeOf(column, driver);
  const type = base === 'enum' ? enumTypeOf(column) : (UNBOUNDED[base] ?? base);
  return column.isArray ? `${type}[]` : type;
}

// As PostgresQueryRunner.buildEnumName names it.
function enumTypeOf(column: ColumnMetadata): string {
  const { schema, tableName } = column.entityMetadata;
  const name = column.enumName ?? `${tableName}_${column.databaseName.toLowerCase()}_enum`;
  return [...(schema === undefined ? [] : [schema]), ...name.split('.')]
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}

/** Digits after the decimal point that the column can hold; `null` for types that are not exact numbers, or unbounded. */
export function scaleOf(column: ColumnMetadata, driver: Driver): number | null {
  const base = baseTypeOf(column, driver);
  if (base === 'smallint' || base === 'integer' || base === 'bigint') return 0;
  if (base !== 'numeric') return null;
  // Without a precision TypeORM creates a plain `numeric`, and ignores the scale.
  if (column.precision === undefined || column.precision === null) return null;
  return column.scale ?? 0;
}
