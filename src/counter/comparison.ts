import type { Driver } from 'typeorm';

import { type Exact, compareExact, fitsInteger, formatExact, readExact } from './exact-number';
import { baseTypeOf, type ColumnMetadata, sqlTypeOf } from './sql-type';

/** A value of a `where`, ready to be compared with raw driver values and to be bound in SQL. */
export interface Operand {
  /** Order of a raw, non-null driver value relative to the operand; `null` when the raw value cannot be understood. */
  readonly compare: (raw: unknown) => number | null;
  /** Value to bind. */
  readonly bound: unknown;
  /** SQL type to cast the parameter to. */
  readonly cast: string;
}

/** How values of one column are compared, in JS exactly as in SQL. */
export interface Comparison {
  /** Whether `<` and `>` mean the same in JS and in SQL; not so for text, which has collations. */
  readonly ordered: boolean;
  /** `null` when a value of this kind cannot be compared with the column. */
  readonly operand: (prepared: unknown) => Operand | null;
  /** The expression to compare, from the escaped column. */
  readonly expression: (column: string) => string;
}

interface Kind<T> {
  readonly ordered: boolean;
  /** `null` when the value is not of this kind. */
  readonly read: (value: unknown) => T | null;
  readonly order: (a: T, b: T) => number;
  readonly bind: (value: T) => unknown;
  readonly cast: (value: T) => string;
  readonly expression?: (column: string) => string;
}

function comparison<T>(kind: Kind<T>): Comparison {
  const operand = (prepared: unknown): Operand | null => {
    const value = kind.read(prepared);
    if (value === null) return null;
    const compare = (raw: unknown): number | null => {
      const found = kind.read(raw);
      return found === null ? null : kind.order(found, value);
    };
    return { compare, bound: kind.bind(value), cast: kind.cast(value) };
  };
  return { ordered: kind.ordered, operand, expression: kind.expression ?? ((column) => column) };
}

const byOrder = <T extends number | string | boolean>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function exact(sqlType: string): Comparison {
  return comparison<Exact>({
    ordered: true,
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

function float(sqlType: string): Comparison {
  const round = sqlType === 'real' ? Math.fround : (value: number) => value;
  const read = (value: unknown): number | null => {
    if (typeof value === 'number') return round(value);
    if (typeof value !== 'string' || value.trim() === '') return null;
    const number = Number(value);
    return Number.isNaN(number) && value !== 'NaN' ? null : round(number);
  };
  return comparison({ ordered: true, read, order: orderFloats, bind: String, cast: () => sqlType });
}

const TRUE = new Set<unknown>([true, 1, '1', 't', 'true']);
const FALSE = new Set<unknown>([false, 0, '0', 'f', 'false']);

function boolean(): Comparison {
  const read = (value: unknown): boolean | null => (TRUE.has(value) ? true : FALSE.has(value) ? false : null);
  return comparison({ ordered: true, read, order: byOrder, bind: (value) => value, cast: () => 'boolean' });
}

function timestamp(sqlType: string, precision: number | null): Comparison {
  const read = (value: unknown): number | null => {
    const time = value instanceof Date ? value.getTime() : typeof value === 'string' ? Date.parse(value) : value;
    return typeof time !== 'number' || Number.isNaN(time) ? null : time;
  };
  const bind = (value: number): unknown =>
    Number.isFinite(value) ? new Date(value) : value > 0 ? 'infinity' : '-infinity';
  // The database has microseconds, a Date has not: both sides compare milliseconds.
  const expression = (column: string): string =>
    precision !== null && precision <= 3 ? column : `date_trunc('milliseconds', ${column})`;
  return comparison({ ordered: true, read, order: byOrder, bind, cast: () => sqlType, expression });
}

function date(): Comparison {
  const read = (value: unknown): number | null => {
    // The driver gives local midnight.
    if (value instanceof Date)
      return Number.isNaN(value.getTime()) ? null : Date.UTC(value.getFullYear(), value.getMonth(), value.getDate());
    if (value === Infinity || value === -Infinity) return value;
    const time = typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) ? Date.parse(value) : Number.NaN;
    return Number.isNaN(time) ? null : time;
  };
  const bind = (value: number): unknown =>
    Number.isFinite(value) ? new Date(value).toISOString().slice(0, 10) : value > 0 ? 'infinity' : '-infinity';
  return comparison({ ordered: true, read, order: byOrder, bind, cast: () => 'date' });
}

const readText = (value: unknown): string | null =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : null;

function text(sqlType: string, expression: (column: string) => string): Comparison {
  const read = sqlType === 'bpchar' ? (value: unknown) => readText(value)?.replace(/ +$/, '') ?? null : readText;
  return comparison({ ordered: false, read, order: byOrder, bind: (value) => value, cast: () => sqlType, expression });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuid(): Comparison {
  const read = (value: unknown): string | null => {
    const lower = typeof value === 'string' ? value.toLowerCase() : '';
    return UUID.test(lower) ? lower : null;
  };
  return comparison({ ordered: false, read, order: byOrder, bind: (value) => value, cast: () => 'uuid' });
}

/** How values of this column are compared; `null` for types that are not supported. */
export function comparisonOf(column: ColumnMetadata, driver: Driver): Comparison | null {
  if (column.isArray || column.type === 'simple-array' || column.type === 'simple-json') return null;
  const sqlType = sqlTypeOf(column, driver);
  // Only a non-deterministic collation makes equality differ from bytes; it has to be named.
  const bytes = (name: string): string => ((column.collation ?? '') === '' ? name : `${name} COLLATE "C"`);
  switch (baseTypeOf(column, driver)) {
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
      return timestamp(sqlType, column.precision ?? null);
    case 'date':
      return date();
    case 'text':
    case 'character varying':
    case 'character':
      return text(sqlType, bytes);
    case 'enum':
      return text('text', (name) => `${name}::text`);
    case 'uuid':
      return uuid();
    default:
      return null;
  }
}
