/** Characters with a meaning in ids, in buffer keys, or in text protocols. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const RESERVED = /[%:,/@;\u0000-\u001f\u007f]/g;

/** Escapes one component of an id, percent style. */
function encode(component: string): string {
  return component.replace(RESERVED, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function decode(component: string): string {
  // Most have nothing to decode.
  if (!component.includes('%')) return component;
  return component.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Escapes a database column name for use in buffer keys and fields. */
export function encodeColumn(name: string): string {
  return encode(name);
}

/** The inverse of {@link encodeColumn}. */
export function decodeColumn(encoded: string): string {
  return decode(encoded);
}

/** Id of a target table: `<table path>:<key columns>`, each component escaped. */
export function targetTableId(tablePath: string, keyColumns: readonly string[]): string {
  return `${encode(tablePath)}:${keyColumns.map(encode).join(',')}`;
}

/**
 * Id of a target row: `<table id>:<key values>`, or `null` when a value is NULL (then there is no target).
 * `values` are texts as {@link keyText} makes them, in the order of the table's keys.
 */
export function targetId(tableId: string, values: readonly (string | null)[]): string | null {
  const encoded: string[] = [];
  for (const value of values) {
    if (value === null) return null;
    encoded.push(encode(value));
  }
  return `${tableId}:${encoded.join(',')}`;
}

/** Stands for the key of all targets of a table: no key is escaped like this, since `*` needs no escaping. */
const EVERY = '%2A';

/** Stands for every target of a table, where recalculations are requested of targets that cannot be named one by one. */
export function everyTarget(tableId: string): string {
  return `${tableId}:${EVERY}`;
}

/** Whether an id is one of {@link everyTarget}. */
export function isEveryTarget(target: string): boolean {
  return target.endsWith(`:${EVERY}`);
}

/** No value of a key is encoded like this. */
const KEYLESS = '%-';

/** Stands for the rows of a table whose key is NULL: they have no sources, and no ids of their own. */
export function keylessTarget(tableId: string): string {
  return `${tableId}:${KEYLESS}`;
}

/** Whether an id is a {@link keylessTarget}. */
export function isKeyless(target: string): boolean {
  return target.endsWith(`:${KEYLESS}`);
}

/** The id of the target table, which a target id starts with. */
export function tableIdOf(target: string): string {
  return target.slice(0, target.lastIndexOf(':'));
}

/** The key values of a target id, as text. */
export function keyValuesOf(target: string): readonly string[] {
  return target
    .slice(target.lastIndexOf(':') + 1)
    .split(',')
    .map(decode);
}

/**
 * A raw driver value of a key column as text, the same whichever way it was read; `null` for NULL.
 * With the column's SQL type, spellings that PostgreSQL holds equal become one (upper-case uuids, padded characters,
 * decimals with more zeros).
 */
export function keyText(value: unknown, sqlType = ''): string | null {
  const text = rawText(value);
  if (text === null) return null;
  if (sqlType === 'uuid') return text.toLowerCase();
  if (sqlType === 'numeric' && text.includes('.')) return text.replace(/\.?0+$/, '');
  return sqlType === 'bpchar' ? text.replace(/ +$/, '') : text;
}

function rawText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return JSON.stringify(value);
}

const INTEGER_BITS: Readonly<Record<string, bigint>> = { smallint: 15n, integer: 31n, bigint: 63n };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Whether a text is how a key of this SQL type is written. An id stored as text may be anything: what is no key has no
 * target, and what is written otherwise (`05`, an upper-case uuid) does not equal the key as text.
 */
export function isKeyText(text: string, sqlType: string): boolean {
  if (sqlType === 'uuid') return UUID.test(text);
  const bits = INTEGER_BITS[sqlType];
  if (bits === undefined) return true;
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return false;
  const value = BigInt(text);
  return value < 2n ** bits && value >= -(2n ** bits);
}
