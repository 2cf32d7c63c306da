/** What a key of Redis holds, as the dump script returns it: its name, its type, and its contents, flat. */
export type DumpedKey = readonly [name: string, type: string, flat: readonly string[]];

/** A time that has passed, and one that has not: whatever is stored as a time becomes one of these. */
const PAST = '1500000000000';
const FUTURE = '2999999999999';

/** A time is in the future when it is this far ahead, ms: due times are a window ahead at most, leases much longer. */
const AHEAD = 3_600_000;

/** How long a lease lasts, ms: until the model lets time pass. */
export const LEASE_TTL = 1_000 * AHEAD;

/** Ids of transactions: all of one length, so that order is order of text, too, and never taken for anything else. */
export const FIRST_TRANSACTION = 500_000_001;

const TRANSACTION = /\b5000000\d\d\b/g;
const NAME = /\b(?:batch|token)-\d+\b/g;
const RANDOM_ID = /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/g;
const TIME = /(?<!\d)[12]\d{12}(?!\d)/g;

/** The name of a batch that has just been claimed, until the model gives it one. */
export const NEW_BATCH = 'batch-0';

/**
 * One text for all states of Redis that behave alike, from which they are restored: sorted, without the version, which
 * only `read` looks at, with times reduced to past and future, and the random id of a new batch replaced.
 */
export function canonicalDump(keys: readonly DumpedKey[], now: number): string {
  const sorted = keys
    .map(([name, type, flat]): DumpedKey => [name, type, sortedContents(type, flat)])
    .filter(([, , flat]) => flat.length > 0)
    .toSorted(([a], [b]) => compare(a, b));
  const text = JSON.stringify(sorted).replaceAll(TIME, (time) => (Number(time) > now + AHEAD ? FUTURE : PAST));
  return withoutRandomIds(text);
}

/** Two new ids would become one. */
function withoutRandomIds(text: string): string {
  const ids = new Set(text.match(RANDOM_ID));
  if (ids.size > 1) throw new Error(`expected one call to make up one id, got: ${[...ids].join(', ')}`);
  return ids.size === 0 ? text : text.replaceAll(RANDOM_ID, NEW_BATCH);
}

function sortedContents(type: string, flat: readonly string[]): readonly string[] {
  if (type === 'list' || type === 'string') return flat;
  const width = type === 'set' ? 1 : 2;
  return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width))
    .filter(([name]) => name !== 'version')
    .toSorted(([a = ''], [b = '']) => compare(a, b))
    .flat();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The same, with a name replaced by another. */
export function renamed(dump: string, from: string, to: string): string {
  const keys = JSON.parse(dump.replaceAll(from, to)) as DumpedKey[];
  return canonicalDump(keys, Date.now());
}

/** The same, later: nothing lies in the future any more. */
export function later(dump: string): string {
  return dump.replaceAll(FUTURE, PAST);
}

/** Ids of transactions in a text, ascending, each once. */
export function transactionsIn(text: string): number[] {
  return [...new Set(text.match(TRANSACTION))].map(Number).toSorted((a, b) => a - b);
}

/** Names of batches and tokens in a text. */
export function namesIn(text: string): string[] {
  return [...new Set(text.match(NAME))];
}

/** Replaces ids of transactions; the order among them must stay. */
export function renumbered(text: string, numbers: ReadonlyMap<number, number>): string {
  return text.replaceAll(TRANSACTION, (id) => String(numbers.get(Number(id)) ?? id));
}
