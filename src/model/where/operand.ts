import { ConfigurationError } from '../../errors';

/** A value to be bound in SQL. */
export interface Bound {
  readonly bound: unknown;
  /** SQL type to cast the parameter to. */
  readonly cast: string;
}

/** A value of a `where`, ready to be compared with raw driver values and to be bound in SQL. */
export interface Operand extends Bound {
  /**
   * Order of a raw, non-null driver value relative to the operand; where there is no order, 0 when equal.
   *
   * @throws ConfigurationError when the raw value cannot be understood
   */
  readonly compare: (raw: unknown) => number;
}

/** How values of one column are compared, in JS exactly as in SQL. */
export interface Comparison {
  /** Why JavaScript cannot decide `<` and `>`; `null` when it can. */
  readonly unordered: string | null;
  /** `null` when a value of this kind cannot be compared with the column. */
  readonly operand: (prepared: unknown) => Operand | null;
  /** The expression to compare, from the escaped column. */
  readonly expression: (column: string) => string;
  /** What the expression is: text has LIKE, arrays have containment. */
  readonly kind: 'text' | 'array' | 'other';
}

/** The error for a raw value that is not what the driver gives by default. */
export function unreadable(column: string, expected: string, raw: unknown): ConfigurationError {
  return new ConfigurationError([
    `expected column "${column}", which a 'where' compares, to come from the driver as ${expected}, got: ${typeof raw}. Remove the custom type parser, or use 'if'`,
  ]);
}

/** Whether the text arrives in the database as it is: there are no NUL characters, and the driver replaces half surrogate pairs. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}
