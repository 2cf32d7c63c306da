import type { DataSource, EntityMetadata } from 'typeorm';

import type { KeyColumn } from './definition';
import type { ParsedOptions } from './parse-options';
import { type ColumnMetadata, sqlTypeOf } from './sql-type';

/** A target entity, and how source rows refer to its rows. */
export interface Endpoint {
  readonly metadata: EntityMetadata;
  readonly keys: readonly KeyColumn[];
  /** In the order of `keys`. */
  readonly foreignKeys: readonly KeyColumn[];
  readonly type: { readonly column: string; readonly value: string } | null;
}

/** What one declaration is resolved against, and where it reports. */
export interface ResolveContext {
  readonly dataSource: DataSource;
  /** The source. */
  readonly metadata: EntityMetadata;
  readonly parsed: ParsedOptions;
  readonly label: string;
  readonly report: (message: string) => void;
}

/** A column of the source, and the column of the target that it refers to. */
export type ColumnPair = readonly [column: ColumnMetadata, referenced: ColumnMetadata];

const INTEGERS = new Set(['smallint', 'integer', 'bigint']);

/** An endpoint reached by these pairs of columns. */
export function endpointOf(
  metadata: EntityMetadata,
  pairs: readonly ColumnPair[],
  type: Endpoint['type'],
  { dataSource }: ResolveContext,
): Endpoint {
  const typeOf = (column: ColumnMetadata): string => sqlTypeOf(column, dataSource.driver);
  // One order whatever the relation's: the key's columns are part of the kind's id.
  const sorted = pairs.toSorted(([, a], [, b]) => (a.databaseName < b.databaseName ? -1 : 1));
  const keys = sorted.map(([, key]) => keyColumn(key, typeOf(key)));
  // A key need not fit a smaller integer type in order to be compared with it.
  const castOf = ([column, key]: ColumnPair): string =>
    areIntegers(typeOf(column), typeOf(key)) ? typeOf(key) : typeOf(column);
  return { metadata, keys, foreignKeys: sorted.map((pair) => keyColumn(pair[0], castOf(pair))), type };
}

function keyColumn(column: ColumnMetadata, sqlType: string): KeyColumn {
  return Object.freeze({ name: column.databaseName, sqlType });
}

/** Whether both are integer types, of whatever size. */
export function areIntegers(a: string, b: string): boolean {
  return INTEGERS.has(a) && INTEGERS.has(b);
}
