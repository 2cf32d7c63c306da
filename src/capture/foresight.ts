import type { DataSource, Driver, EntityMetadata } from 'typeorm';

import type { Counter, Row } from '../counter/definition';
import { isKeyText } from '../counter/target';
import { baseTypeOf, type ColumnMetadata } from '../counter/sql-type';
import type { ExpressionMap, WriteBuilder } from './write-builder';

/** Not known before the database has made the row. */
const UNKNOWN = Symbol('unknown');

/** What the driver will return of a value that is written, by the column's type; other types are not foreseen. */
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
export class Foresight {
  readonly #driver: Driver;
  readonly #columns: readonly ColumnMetadata[];

  constructor({ driver }: DataSource, metadata: EntityMetadata, counters: readonly Counter[]) {
    this.#driver = driver;
    const needed = new Set(counters.flatMap(({ needs }) => needs));
    this.#columns = metadata.columns.filter(({ databaseName }) => needed.has(databaseName));
  }

  /** Whether the first row that an insert makes can be known: as a rule, then so can all. */
  mayKnow({ expressionMap }: WriteBuilder): boolean {
    const [first] = [expressionMap.valuesSet].flat();
    return isPlain(expressionMap) && this.#rowOf(first) !== null;
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
    let value: unknown = column.getEntityValue(values);
    if (column.referencedColumn !== undefined && typeof value === 'object' && value !== null)
      value = column.referencedColumn.getEntityValue(value);
    if (isMadeUp(column) || column.isArray) return UNKNOWN;
    if (value === undefined || !column.isInsert) return this.#asReturned(column, column.default ?? null);
    return this.#asReturned(
      column,
      typeof value === 'function' ? value : this.#driver.preparePersistentValue(value, column),
    );
  }

  #asReturned(column: ColumnMetadata, written: unknown): unknown {
    if (written === null) return null;
    const asReturned = AS_RETURNED[baseTypeOf(column, this.#driver)];
    return asReturned === undefined ? UNKNOWN : asReturned(written);
  }
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
