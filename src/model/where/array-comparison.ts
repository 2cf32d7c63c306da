import { type Comparison, type Operand, unreadable } from './operand';
import type { Relation } from './truth';

/** The list of a `where`, compared with array columns; `null` is NULL. */
export interface ArrayOperand extends Operand {
  readonly elements: readonly (Operand | null)[];
  /** All elements of a raw value of any dimensions. */
  readonly flatten: (raw: unknown) => readonly unknown[];
}

/** Compares arrays of one type by their elements; the lists of a `where` have one dimension. */
export function arrayComparison(element: Comparison, elementType: string, column: string): Comparison {
  const cast = `${elementType}[]`;
  const readArray = (raw: unknown): readonly unknown[] => {
    if (Array.isArray(raw)) return raw as unknown[];
    throw unreadable(column, cast, raw);
  };
  const operand = (prepared: unknown): ArrayOperand | null => {
    if (!Array.isArray(prepared)) return null;
    const elements = Array.from(prepared as unknown[], (value) => (value === null ? null : element.operand(value)));
    // Both sides must be arrays of one type: integer[] does not compare with numeric[].
    const fits = elements.every((one, at) => (one === null ? prepared[at] === null : one.cast === elementType));
    if (!fits) return null;
    const compare = (raw: unknown): number => (isSame(readArray(raw), elements) ? 0 : 1);
    const bound = elements.map((one) => (one === null ? null : one.bound));
    return { elements, flatten: (raw) => readArray(raw).flat(Infinity), compare, bound, cast };
  };
  return {
    unordered: 'arrays only have equality and containment',
    operand,
    // The slice sets the lower bounds to 1: equality heeds them, and the driver does not return them.
    expression: (name) => element.expression(`${name}[:]`),
    kind: 'array',
  };
}

/** For the operators that only arrays have. */
export function isArrayOperand(operand: Operand): operand is ArrayOperand {
  return 'elements' in operand;
}

/** Equality takes NULL elements for the same, and an array of two dimensions for another than one of one. */
function isSame(found: readonly unknown[], elements: readonly (Operand | null)[]): boolean {
  if (found.length !== elements.length) return false;
  return elements.every((one, at) => {
    const element = found[at];
    if (one === null || element === null) return one === element;
    return !Array.isArray(element) && one.compare(element) === 0;
  });
}

// Containment ignores dimensions, and its NULL elements equal nothing.
const isAmong = (element: unknown, elements: readonly (Operand | null)[]): boolean =>
  element !== null && elements.some((one) => one?.compare(element) === 0);

/** Has all elements. */
export const CONTAINS: Relation<ArrayOperand> = {
  sql: '@>',
  holds(raw, { elements, flatten }) {
    const found = flatten(raw);
    return elements.every((one) => found.some((element) => isAmong(element, [one])));
  },
};

/** Has no other elements. */
export const CONTAINED_BY: Relation<ArrayOperand> = {
  sql: '<@',
  holds: (raw, { elements, flatten }) => flatten(raw).every((element) => isAmong(element, elements)),
};

/** Has one of the elements. */
export const OVERLAPS: Relation<ArrayOperand> = {
  sql: '&&',
  holds: (raw, { elements, flatten }) => flatten(raw).some((element) => isAmong(element, elements)),
};
