import type { Driver, EntityMetadata } from 'typeorm';

import { describe } from '../../describe';
import type { Comparison, Operand } from './operand';
import type { ColumnMetadata } from '../sql-type';

/** What the compiler of a `where` needs to know, and where it reports. */
export interface WhereContext {
  readonly metadata: EntityMetadata;
  readonly driver: Driver;
  /** Reports one mistake: what was expected, got what, what to do. */
  readonly problem: (message: string) => void;
}

/** One column of a `where`. */
export interface Site extends WhereContext {
  /** Where it stands, for messages: `where.state`, `where[1].state`. */
  readonly name: string;
  readonly column: ColumnMetadata;
  /** `null` for types that compare with nothing but NULL. */
  readonly comparison: Comparison | null;
}

/** How the column's values are compared; reports a column that cannot. */
export function comparisonAt({ name, column, comparison, problem }: Site): Comparison | null {
  if (comparison === null) {
    problem(
      `expected '${name}' to be of a type that can be compared, got: ${describeType(column)}, which only supports IsNull() and Not(IsNull()). Use 'if' instead`,
    );
  }
  return comparison;
}

/** The value as the column holds it. */
export function prepare(value: unknown, { column, driver }: Site): unknown {
  // For the driver, all that is not true is false.
  if (value === null || value === undefined || (column.type === Boolean && column.transformer === undefined))
    return value;
  // It applies the column's transformers, as it does on save.
  return driver.preparePersistentValue(value, column);
}

/** A value to compare the column with; reports one that does not fit. */
export function operandOf(value: unknown, comparison: Comparison, site: Site): Operand | null {
  const prepared = prepare(value, site);
  const operand = prepared === null || prepared === undefined ? null : comparison.operand(prepared);
  if (operand !== null) return operand;
  const advice =
    prepared === null
      ? 'Use IsNull() for NULL'
      : prepared === undefined
        ? 'Leave it out, or use IsNull() for NULL'
        : 'Use a value of its type';
  site.problem(
    `expected '${site.name}' to be compared with a ${describeType(site.column)}, got: ${describe(value)}. ${advice}`,
  );
  return null;
}

/** The column's type, for messages. */
export function describeType({ type, isArray }: ColumnMetadata): string {
  const name = typeof type === 'function' ? type.name : type;
  return isArray ? `${name} array` : name;
}
