const NUMBER = /^(?:\((-?\d+)\)|(-?\d+)|'(-?\d+)'::[a-z ]+)$/;
const TEXT = /^'((?:[^']|'')*)'(?:::[^()]+)?$/;
const NULL = /^NULL(?:::.+)?$/;

/**
 * The value of a default's expression, as `pg_get_expr` writes it, if it is a plain whole number, text, boolean or NULL;
 * `undefined` for everything else. Numbers are texts.
 */
export function literalOf(expression: string | null): string | boolean | null | undefined {
  if (expression === null || NULL.test(expression)) return null;
  if (expression === 'true' || expression === 'false') return expression === 'true';
  const [, bracketed, plain, quoted] = NUMBER.exec(expression) ?? [];
  const number = bracketed ?? plain ?? quoted;
  if (number !== undefined) return number;
  return TEXT.exec(expression)?.[1]?.replaceAll("''", "'");
}
