import { CounterCacheError } from '../errors';
import type { Comparison, Operand } from './comparison';
import type { Row } from './definition';

/** SQL's three truth values; `null` is unknown. */
export type Truth = boolean | null;

/** How a condition becomes SQL. */
export interface SqlContext {
  readonly bind: (value: unknown) => string;
  /** Qualifies and escapes a database column name. */
  readonly column: (name: string) => string;
}

/** A condition with the same truth in JS and in SQL. */
export interface Condition {
  readonly test: (row: Row) => Truth;
  readonly sql: (context: SqlContext) => string;
}

/** Never true, never unknown: what an empty `In` means. */
export const FALSE: Condition = { test: () => false, sql: () => 'FALSE' };

/** Conjunction: false when one part is, else unknown when one part is. */
export function allOf(parts: readonly Condition[]): Condition {
  return {
    test: (row) => {
      let truth: Truth = true;
      for (const part of parts) {
        const found = part.test(row);
        if (found === false) return false;
        if (found === null) truth = null;
      }
      return truth;
    },
    sql: (context) => (parts.length === 0 ? 'TRUE' : parts.map((part) => `(${part.sql(context)})`).join(' AND ')),
  };
}

/** Negation: unknown stays unknown. */
export function negate(inner: Condition): Condition {
  return {
    test: (row) => {
      const found = inner.test(row);
      return found === null ? null : !found;
    },
    sql: (context) => `NOT (${inner.sql(context)})`,
  };
}

/** NULL or not; never unknown. */
export function isNull(column: string): Condition {
  return {
    test: (row) => row[column] === null || row[column] === undefined,
    sql: (context) => `${context.column(column)} IS NULL`,
  };
}

/** One comparison with an operand; unknown for NULL. */
export function compare(
  column: string,
  operand: Operand,
  relation: { readonly sql: string; readonly holds: (order: number) => boolean },
  comparison: Comparison,
): Condition {
  return {
    test: (row) => {
      const raw = row[column];
      return raw === null || raw === undefined ? null : relation.holds(orderOf(raw, operand, column));
    },
    sql: (context) => `${comparison.expression(context.column(column))} ${relation.sql} ${parameter(operand, context)}`,
  };
}

/** Equal to one of several operands; unknown for NULL. */
export function oneOf(column: string, operands: readonly Operand[], comparison: Comparison): Condition {
  return {
    test: (row) => {
      const raw = row[column];
      return raw === null || raw === undefined ? null : operands.some((operand) => orderOf(raw, operand, column) === 0);
    },
    sql: (context) =>
      `${comparison.expression(context.column(column))} IN (${operands.map((operand) => parameter(operand, context)).join(', ')})`,
  };
}

function parameter({ bound, cast }: Operand, { bind }: SqlContext): string {
  return `${bind(bound)}::${cast}`;
}

function orderOf(raw: unknown, operand: Operand, column: string): number {
  const order = operand.compare(raw);
  if (order !== null) return order;
  throw new CounterCacheError(
    'CONFIGURATION',
    `expected column "${column}", which a 'where' compares, to come from the driver as ${operand.cast}, got: ${typeof raw}. Remove the custom type parser, or use 'if'`,
    { column },
  );
}
