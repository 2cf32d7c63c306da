import type { DataSource, EntityMetadata } from 'typeorm';

import type { KeyColumn, Path } from '../model/definition';
import type { ColumnPair } from '../model/walk';
import type { ParsedOptions } from './parse-options';
import { type ColumnMetadata, sqlTypeOf } from '../model/sql-type';

/** A target entity, and how source rows refer to its rows. */
export interface Endpoint {
  readonly metadata: EntityMetadata;
  readonly keys: readonly KeyColumn[];
  /** In the order of `keys`. */
  readonly foreignKeys: readonly KeyColumn[];
  readonly path: Path | null;
  readonly type: { readonly column: string; readonly value: string } | null;
}

/** What one declaration is resolved against, and where it reports. */
export interface ResolveContext {
  readonly dataSource: DataSource;
  /** The source. */
  readonly metadata: EntityMetadata;
  /** The entity that carries the declaration: the source, or, with a junction, the target. */
  readonly declaring: EntityMetadata;
  readonly parsed: ParsedOptions;
  readonly label: string;
  /** Source, way, target and columns: what may be declared only once. */
  readonly identity: string;
  readonly report: (message: string) => void;
}

/** Columns that refer to a row, and the columns of that row, in one order. */
export interface Reference {
  readonly foreignKeys: readonly KeyColumn[];
  readonly keys: readonly KeyColumn[];
}

const INTEGERS = new Set(['smallint', 'integer', 'bigint']);

/** A reference made of these pairs of columns. */
export function referenceOf(pairs: readonly ColumnPair[], { driver }: DataSource): Reference {
  const typeOf = (column: ColumnMetadata): string => sqlTypeOf(column, driver);
  // One order for every relation: the key's columns are part of the target table's id.
  const sorted = pairs.toSorted(([, a], [, b]) => (a.databaseName < b.databaseName ? -1 : 1));
  // A key need not fit a smaller integer type in order to be compared with it.
  const castOf = ([column, key]: ColumnPair): string =>
    areIntegers(typeOf(column), typeOf(key)) ? typeOf(key) : typeOf(column);
  return {
    foreignKeys: sorted.map((pair) => keyColumn(pair[0], castOf(pair))),
    keys: sorted.map(([, key]) => keyColumn(key, typeOf(key))),
  };
}

function keyColumn(column: ColumnMetadata, sqlType: string): KeyColumn {
  return Object.freeze({ name: column.databaseName, sqlType });
}

/** Whether both are integer types, of any size. */
export function areIntegers(a: string, b: string): boolean {
  return INTEGERS.has(a) && INTEGERS.has(b);
}
