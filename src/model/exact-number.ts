/** An exact decimal: `digits` × 10^-`scale`, or one of PostgreSQL's special numerics, in their order. */
export interface Exact {
  readonly rank: -1 | 0 | 1 | 2;
  readonly digits: bigint;
  readonly scale: number;
}

const SPECIAL: Readonly<Record<string, Exact>> = {
  '-Infinity': { rank: -1, digits: 0n, scale: 0 },
  Infinity: { rank: 1, digits: 0n, scale: 0 },
  NaN: { rank: 2, digits: 0n, scale: 0 },
};

const SPECIAL_TEXT: Readonly<Record<string, string>> = { '-1': '-Infinity', '1': 'Infinity', '2': 'NaN' };

const INTEGER_BITS: Readonly<Record<string, bigint>> = { smallint: 15n, integer: 31n, bigint: 63n };

/** Reads a number, bigint or decimal text; `null` for anything else. */
export function readExact(value: unknown): Exact | null {
  if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'string') return null;
  const text = String(value).trim();
  const special = SPECIAL[text];
  if (special !== undefined) return special;
  const match = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,4}))?$/i.exec(text);
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || whole + fraction === '') return null;
  const magnitude = BigInt(whole + fraction);
  const scale = fraction.length - Number(exponent);
  const digits = sign === '-' ? -magnitude : magnitude;
  return scale >= 0 ? { rank: 0, digits, scale } : { rank: 0, digits: digits * 10n ** BigInt(-scale), scale: 0 };
}

/** Orders two exact numbers as PostgreSQL does: NaN equals itself and is the greatest. */
export function compareExact(a: Exact, b: Exact): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  const scale = Math.max(a.scale, b.scale);
  const left = a.digits * 10n ** BigInt(scale - a.scale);
  const right = b.digits * 10n ** BigInt(scale - b.scale);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Decimal text that PostgreSQL reads back as the same number. */
export function formatExact({ rank, digits, scale }: Exact): string {
  if (rank !== 0) return SPECIAL_TEXT[String(rank)] ?? 'NaN';
  return scale === 0 ? digits.toString() : `${digits}e-${scale}`;
}

/** Whether the number can be cast to this integer type; true for `numeric`. */
export function fitsInteger({ rank, digits, scale }: Exact, sqlType: string): boolean {
  const bits = INTEGER_BITS[sqlType];
  if (bits === undefined) return true;
  return rank === 0 && scale === 0 && digits < 2n ** bits && digits >= -(2n ** bits);
}
