import type { DataSource, Driver, EntityMetadata } from 'typeorm';

import type { Counter, Row } from '../../model/definition';
import { isKeyText } from '../../model/target';
import { baseTypeOf, type ColumnMetadata } from '../../model/sql-type';
import type { CatalogueColumn, CatalogueTable } from '../../dialects/postgres/catalogue/catalogue';
import { literalOf } from '../../dialects/postgres/catalogue/literal';
import type { ExpressionMap, WriteBuilder } from '../../typeorm/write-builder';

/** Not known before the database has made the row. */
const UNKNOWN = Symbol('unknown');

/** What the driver will return of a value that is written, by the column's type; other types are not predicted. */
const AS_RETURNED: Readonly<Record<string, (value: unknown) => unknown>> = {
  smallint: wholeNumber,
  integer: wholeNumber,
  bigint: (value) => (isKeyText(String(value), 'bigint') ? String(value) : UNKNOWN),
  uuid: (value) => (typeof value === 'string' && isKeyText(value, 'uuid') ? value : UNKNOWN),
  boolean: truth,
  text: plainText,
  'character varying': plainText,
  enum: plainText,
};

function wholeNumber(value: unknown): unknown {
  const number = typeof value === 'string' && isKeyText(value, 'integer') ? Number(value) : value;
  return Number.isInteger(number) ? number : UNKNOWN;
}

/** TypeORM writes 1 and 0. */
function truth(value: unknown): unknown {
  if (typeof value === 'boolean') return value;
  return value === 1 || value === 0 ? value === 1 : UNKNOWN;
}

function plainText(value: unknown): unknown {
  return typeof value === 'string' ? value : UNKNOWN;
}

/** What a table's new rows will hold, in the columns that its counters need, before the database has made them. */
export class PredictedRows {
  readonly #driver: Driver;
  readonly #columns: readonly ColumnMetadata[];
  readonly #table: CatalogueTable | undefined;

  /** `table`: as the database has it; where it is not known, nothing is predicted. */
  constructor(
    { driver }: DataSource,
    metadata: EntityMetadata,
    counters: readonly Counter[],
    table: CatalogueTable | undefined,
  ) {
    this.#driver = driver;
    this.#table = table;
    const needed = new Set(counters.flatMap(({ needs }) => needs));
    this.#columns = metadata.columns.filter(({ databaseName }) => needed.has(databaseName));
  }

  /** The rows that an insert makes; `null` where only the database knows. */
  rowsOf({ expressionMap }: WriteBuilder): readonly Row[] | null {
    if (!isPlain(expressionMap)) return null;
    const rows: Row[] = [];
    for (const values of [expressionMap.valuesSet].flat()) {
      const row = this.#rowOf(values);
      if (row === null) return null;
      rows.push(row);
    }
    return rows;
  }

  #rowOf(values: unknown): Row | null {
    if (typeof values !== 'object' || values === null) return null;
    const row: Record<string, unknown> = {};
    for (const column of this.#columns) {
      const value = this.#valueOf(column, values);
      if (value === UNKNOWN) return null;
      row[column.databaseName] = value;
    }
    return row;
  }

  /** As TypeORM's `createColumnValueExpression` takes it. */
  #valueOf(column: ColumnMetadata, values: object): unknown {
    const stored = this.#table?.columns.get(column.databaseName);
    if (stored === undefined || !isAsDeclared(stored, baseTypeOf(column, this.#driver))) return UNKNOWN;
    if (isMadeUp(column) || column.isArray || stored.isGenerated || stored.isIdentity) return UNKNOWN;
    let value: unknown = column.getEntityValue(values);
    if (column.referencedColumn !== undefined && typeof value === 'object' && value !== null)
      value = column.referencedColumn.getEntityValue(value);
    if (value === undefined || !column.isInsert) return this.#defaultOf(column, stored);
    return this.#asReturned(
      column,
      stored,
      typeof value === 'function' ? value : this.#driver.preparePersistentValue(value, column),
    );
  }

  /** The database's own default: that of the metadata may never have been made. */
  #defaultOf(column: ColumnMetadata, stored: CatalogueColumn): unknown {
    const literal = literalOf(stored.default);
    return literal === undefined ? UNKNOWN : this.#asReturned(column, stored, literal);
  }

  #asReturned(column: ColumnMetadata, { length }: CatalogueColumn, written: unknown): unknown {
    if (written === null) return null;
    // Blanks beyond the length are cut.
    if (typeof written === 'string' && length !== null && written.length > length) return UNKNOWN;
    const asReturned = AS_RETURNED[baseTypeOf(column, this.#driver)];
    return asReturned === undefined ? UNKNOWN : asReturned(written);
  }
}

/** Domains, padded texts and types that were changed are none that metadata describe. */
function isAsDeclared({ type, isEnum }: CatalogueColumn, declared: string): boolean {
  return declared === 'enum' ? isEnum : type === declared;
}

/** Its rows are its values, and all of them are new. */
function isPlain({ insertColumns, insertFromSelect, onUpdate, onIgnore }: ExpressionMap): boolean {
  if (insertFromSelect !== undefined || onUpdate !== undefined || (onIgnore ?? false) !== false) return false;
  return insertColumns === undefined || insertColumns.length === 0;
}

/** TypeORM, or the database, makes the value. */
function isMadeUp(column: ColumnMetadata): boolean {
  return (
    column.isGenerated ||
    column.isCreateDate ||
    column.isUpdateDate ||
    column.isVersion ||
    column.isDiscriminator ||
    column.asExpression !== undefined
  );
}
