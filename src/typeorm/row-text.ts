import type { Row } from '../model/definition';
import { keyText } from '../model/target';

/** Types that the driver turns into objects which are equal for different values: a Date has no microseconds. */
const OPAQUE = /^(date|time|timestamp|interval|bytea|json)/;

/** Whether rows have to hold the text of a column as well, to be told apart by it. */
export function isOpaque(sqlType: string): boolean {
  return OPAQUE.test(sqlType);
}

/** Where a row holds the text of an opaque column. */
export function textName(name: string): string {
  return `${name}#text`;
}

/** The value of a column as text, as the database writes it. */
export function textOf(row: Row, name: string): string | null {
  const text = row[textName(name)];
  return typeof text === 'string' ? text : keyText(row[name]);
}

/** Some columns of a row, as a string to compare by. */
export function keyOf(names: readonly string[], row: Row): string {
  return JSON.stringify(names.map((name) => textOf(row, name)));
}
