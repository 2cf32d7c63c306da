import { list, simple } from './check';

const LARGEST_ID = 2 ** 31 - 1;

/** Rows that one request may name. */
export const MOST_ROWS = 1_000;

/** A row's id. */
export const id = simple<number>('an id', (given) => isWhole(given, 1, LARGEST_ID));

/** Some rows' ids. */
export const ids = list(id, MOST_ROWS);

/** A short text. */
export const name = simple<string>('a text of 1 to 200 characters', (given) => isText(given, 200));

/** A longer text. */
export const body = simple<string>('a text of 1 to 10000 characters', (given) => isText(given, 10_000));

/** A flag. */
export const flag = simple<boolean>('true or false', (given) => typeof given === 'boolean');

/** The score of a review. */
export const score = simple<number>('a whole number from 1 to 5', (given) => isWhole(given, 1, 5));

/** A rating in half stars. */
export const stars = simple<number>(
  'half stars from 0.5 to 5',
  (given) => typeof given === 'number' && isWhole(given * 2, 1, 10),
);

/** The kind of a followed thing. */
export const followedType = simple<'User' | 'Store'>(
  "'User' or 'Store'",
  (given) => given === 'User' || given === 'Store',
);

/** An id, or a size of a page, in a URL. */
export const digits = simple<string>('a whole number', (given) => typeof given === 'string' && /^\d{1,9}$/.test(given));

function isWhole(given: unknown, least: number, most: number): boolean {
  return Number.isInteger(given) && Number(given) >= least && Number(given) <= most;
}

function isText(given: unknown, longest: number): boolean {
  return typeof given === 'string' && given.trim() !== '' && given.length <= longest;
}
