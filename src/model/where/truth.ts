import type { Bound, Comparison, Operand } from './operand';
import type { Row } from '../definition';

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

/** A binary operator with the same truth in JS, on a raw value that is not null, and in SQL. */
export interface Relation<B extends Bound = Operand> {
  readonly sql: string;
  readonly holds: (raw: unknown, operand: B) => boolean;
}

/** Never true, never unknown: what an empty list means. */
export const FALSE: Condition = { test: () => false, sql: () => 'FALSE' };

/** Conjunction: false when one part is, else unknown when one part is. */
export function allOf(parts: readonly Condition[]): Condition {
  return {
    test: (row) => combine(parts, row, false),
    sql: (context) => (parts.length === 0 ? 'TRUE' : join(parts, ' AND ', context)),
  };
}

/** Disjunction of at least one: true when one part is, else unknown when one part is. */
export function anyOf(parts: readonly Condition[]): Condition {
  return {
    test: (row) => combine(parts, row, true),
    sql: (context) => join(parts, ' OR ', context),
  };
}

function combine(parts: readonly Condition[], row: Row, decisive: boolean): Truth {
  let truth: Truth = !decisive;
  for (const part of parts) {
    const found = part.test(row);
    if (found === decisive) return decisive;
    if (found === null) truth = null;
  }
  return truth;
}

function join(parts: readonly Condition[], operator: string, context: SqlContext): string {
  return parts.map((part) => `(${part.sql(context)})`).join(operator);
}

/** Negation: unknown stays unknown. */
export function negate(inner: Condition): Condition {
  return {
    test(row) {
      const found = inner.test(row);
      return found === null ? null : !found;
    },
    sql: (context) => `NOT (${inner.sql(context)})`,
  };
}

/** All parts, or `null` when one is missing. */
export function complete<T>(parts: readonly (T | null)[]): readonly T[] | null {
  const found = parts.filter((part) => part !== null);
  return found.length === parts.length ? found : null;
}

/** NULL or not; never unknown. */
export function isNull(column: string): Condition {
  return {
    test: (row) => row[column] === null || row[column] === undefined,
    sql: (context) => `${context.column(column)} IS NULL`,
  };
}

/** One comparison with an operand; unknown for NULL. */
export function compare<B extends Bound>(
  column: string,
  comparison: Comparison,
  relation: Relation<B>,
  operand: B,
): Condition {
  return {
    test: (row) => ifKnown(row[column], (raw) => relation.holds(raw, operand)),
    sql: (context) => `${comparison.expression(context.column(column))} ${relation.sql} ${parameter(operand, context)}`,
  };
}

/** Equal to one of several operands, or, with `orNull`, to NULL, which is never true; unknown for NULL. */
export function oneOf(
  column: string,
  comparison: Comparison,
  operands: readonly Operand[],
  orNull: boolean,
): Condition {
  return {
    test: (row) =>
      ifKnown(row[column], (raw) => operands.some((operand) => operand.compare(raw) === 0) || (orNull ? null : false)),
    sql(context) {
      const list = [...operands.map((operand) => parameter(operand, context)), ...(orNull ? ['NULL'] : [])];
      return `${comparison.expression(context.column(column))} IN (${list.join(', ')})`;
    },
  };
}

function ifKnown(raw: unknown, test: (raw: unknown) => Truth): Truth {
  return raw === null || raw === undefined ? null : test(raw);
}

function parameter({ bound, cast }: Bound, { bind }: SqlContext): string {
  return `${bind(bound)}::${cast}`;
}
