import type { Driver } from 'typeorm';

import { arrayComparison } from './array-comparison';
import { type Exact, compareExact, fitsInteger, formatExact, readExact } from '../exact-number';
import { type Comparison, isStorableText, type Operand, unreadable } from './operand';
import { baseTypeOf, type ColumnMetadata, sqlTypeOf } from '../sql-type';

interface Kind<T> {
  readonly unordered?: string;
  /** `null` when the value is not of this kind. */
  readonly read: (value: unknown) => T | null;
  /** Whether the database could hold what was read; by default it could. */
  readonly canBeStored?: (value: T) => boolean;
  readonly order: (a: T, b: T) => number;
  readonly bind: (value: T) => unknown;
  readonly cast: (value: T) => string;
  readonly expression?: (column: string) => string;
  readonly isText?: true;
}

/** A comparison that does not know the name of its column yet. */
type Unnamed = (column: string) => Comparison;

function comparison<T>(kind: Kind<T>): Unnamed {
  return (column) => ({
    unordered: kind.unordered ?? null,
    operand: (prepared) => operand(prepared, kind, column),
    expression: kind.expression ?? ((name) => name),
    kind: kind.isText ? 'text' : 'other',
  });
}

function operand<T>(prepared: unknown, kind: Kind<T>, column: string): Operand | null {
  const value = kind.read(prepared);
  if (value === null || kind.canBeStored?.(value) === false) return null;
  const cast = kind.cast(value);
  const compare = (raw: unknown): number => {
    const found = kind.read(raw);
    if (found === null) throw unreadable(column, cast, raw);
    return kind.order(found, value);
  };
  return { compare, bound: kind.bind(value), cast };
}

const byOrder = <T extends number | string | boolean>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function exact(sqlType: string): Unnamed {
  return comparison<Exact>({
    read: readExact,
    order: compareExact,
    bind: formatExact,
    // 1.5 compares with an integer column, but is no integer.
    cast: (value) => (fitsInteger(value, sqlType) ? sqlType : 'numeric'),
  });
}

// PostgreSQL holds NaN equal to itself and greater than all else.
const orderFloats = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? byOrder(Number.isNaN(a), Number.isNaN(b)) : byOrder(a, b);

function float(sqlType: string): Unnamed {
  const round = sqlType === 'real' ? Math.fround : (value: number) => value;
  const read = (value: unknown): number | null => {
    if (typeof value === 'number') return round(value);
    if (typeof value !== 'string' || value.trim() === '') return null;
    const number = Number(value);
    return Number.isNaN(number) && value !== 'NaN' ? null : round(number);
  };
  return comparison({ read, order: orderFloats, bind: String, cast: () => sqlType });
}

const TRUE = new Set<unknown>([true, 1, '1', 't', 'true']);
const FALSE = new Set<unknown>([false, 0, '0', 'f', 'false']);

function boolean(): Unnamed {
  const read = (value: unknown): boolean | null => (TRUE.has(value) ? true : FALSE.has(value) ? false : null);
  return comparison({ read, order: byOrder, bind: (value) => value, cast: () => 'boolean' });
}

function timestamp(sqlType: string, precision: number | null): Unnamed {
  const read = (value: unknown): number | null => {
    const time = value instanceof Date ? value.getTime() : typeof value === 'string' ? Date.parse(value) : value;
    return typeof time !== 'number' || Number.isNaN(time) ? null : time;
  };
  const bind = (value: number): unknown => {
    if (!Number.isFinite(value)) return value > 0 ? 'infinity' : '-infinity';
    // Without a time zone the driver reads and writes local time.
    return sqlType === 'timestamp with time zone' ? formatInstant(new Date(value)) : new Date(value);
  };
  // The database has microseconds, a Date has not: both sides compare milliseconds.
  const expression = (column: string): string =>
    precision !== null && precision <= 3 ? column : `date_trunc('milliseconds', ${column})`;
  return comparison({ read, order: byOrder, bind, cast: () => sqlType, expression });
}

/** For PostgreSQL; the driver, which writes local time, cuts the seconds off the offset of a time zone before 1900. */
function formatInstant(instant: Date): string {
  const year = instant.getUTCFullYear();
  const iso = instant.toISOString();
  const rest = iso.slice(iso.indexOf('-', 1));
  return `${String(year > 0 ? year : 1 - year).padStart(4, '0')}${rest}${year > 0 ? '' : ' BC'}`;
}

// The year 0 does not exist, and 30 February would be 2 March.
function readDay(day: string): number | null {
  const time = /^(?!0000)\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(day) : Number.NaN;
  return Number.isNaN(time) || !new Date(time).toISOString().startsWith(day) ? null : time;
}

function date(): Unnamed {
  const read = (value: unknown): number | null => {
    if (typeof value === 'string') return readDay(value);
    if (value === Infinity || value === -Infinity) return value;
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) return null;
    // The driver gives local midnight. Unlike Date.UTC(), this takes the year 50 for the year 50.
    return new Date(0).setUTCFullYear(value.getFullYear(), value.getMonth(), value.getDate());
  };
  const bind = (value: number): unknown =>
    Number.isFinite(value) ? new Date(value).toISOString().slice(0, 10) : value > 0 ? 'infinity' : '-infinity';
  return comparison({ read, order: byOrder, bind, cast: () => 'date' });
}

const readText = (value: unknown): string | null =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : null;

function text(sqlType: string, unordered: string, expression: (column: string) => string): Unnamed {
  const read = sqlType === 'bpchar' ? (value: unknown) => readText(value)?.replace(/ +$/, '') ?? null : readText;
  return comparison({
    unordered,
    read,
    canBeStored: isStorableText,
    order: byOrder,
    bind: (value) => value,
    cast: () => sqlType,
    expression,
    isText: true,
  });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuid(): Unnamed {
  const read = (value: unknown): string | null => {
    const lower = typeof value === 'string' ? value.toLowerCase() : '';
    return UUID.test(lower) ? lower : null;
  };
  return comparison({ read, order: byOrder, bind: (value) => value, cast: () => 'uuid' });
}

/** Types whose arrays the driver reads without loss. */
const EXACT_IN_ARRAYS: ReadonlySet<string> = new Set([
  'smallint',
  'integer',
  'bigint',
  'real',
  'double precision',
  'boolean',
  'text',
  'character varying',
  'character',
  'uuid',
]);

/** How values of this column are compared; `null` for types that are not supported. */
export function comparisonOf(column: ColumnMetadata, driver: Driver): Comparison | null {
  const { databaseName, isArray } = column;
  if (column.type === 'simple-array' || column.type === 'simple-json') return null;
  const base = baseTypeOf(column, driver);
  if (!isArray) return comparisonOfType(base, sqlTypeOf(column, driver), column)?.(databaseName) ?? null;
  if (!EXACT_IN_ARRAYS.has(base)) return null;
  const sqlType = sqlTypeOf(column, driver).slice(0, -'[]'.length);
  const elements = comparisonOfType(base, sqlType, column)?.(databaseName);
  return elements === undefined ? null : arrayComparison(elements, sqlType, databaseName);
}

function comparisonOfType(base: string, sqlType: string, { precision, collation }: ColumnMetadata): Unnamed | null {
  // Only a non-deterministic collation makes equality differ from bytes; it has to be named.
  const bytes = (name: string): string => ((collation ?? '') === '' ? name : `${name} COLLATE "C"`);
  switch (base) {
    case 'smallint':
    case 'integer':
    case 'bigint':
    case 'numeric':
      return exact(sqlType);
    case 'real':
    case 'double precision':
      return float(sqlType);
    case 'boolean':
      return boolean();
    case 'timestamp with time zone':
    case 'timestamp without time zone':
      return timestamp(sqlType, precision ?? null);
    case 'date':
      return date();
    case 'text':
    case 'character varying':
    case 'character':
      return text(sqlType, 'its order depends on the collation', bytes);
    case 'enum':
      return text('text', 'its order is that of the labels in the database', (name) => `${name}::text`);
    case 'uuid':
      return uuid();
    default:
      return null;
  }
}
