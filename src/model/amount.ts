import { describe } from '../describe';
import { AmountError } from '../errors';

/** Where an amount comes from and goes to, for messages. */
export interface AmountPlace {
  /** The counter's label, `Post.author → User.postsCount`. */
  readonly label: string;
  /** What yields the amount, e.g. `incrementBy`. */
  readonly from: string;
}

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Relative distance that binary arithmetic on decimals is forgiven. */
const FLOAT_NOISE = 2 ** -50;

/** Beyond this, a decimal exponent cannot fit int64 and would only cost memory. */
const MAX_EXPONENT = 400;

/**
 * An amount returned by a function or written in a declaration, as an exact integer in units of 10^-scale.
 * A bigint means whole units; a decimal number is taken for the decimal it was meant to be.
 *
 * @throws AmountError when the value is not a finite number or bigint, or cannot be held exactly.
 */
export function scaleAmount(value: unknown, scale: number, place: AmountPlace): bigint {
  if (typeof value === 'bigint') return checkInt64(value * 10n ** BigInt(scale), value, place);
  if (typeof value !== 'number')
    throw refuse(value, place, 'a finite number or a bigint', 'Return a number, or a bigint for whole units.');
  if (!Number.isFinite(value)) throw refuse(value, place, 'a finite number or a bigint', 'Return a finite number.');
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw refuse(
      value,
      place,
      'a number of at most 2^53 - 1 in magnitude',
      'Return a bigint: a number of this size has lost digits.',
    );
  }
  if (Number.isInteger(value)) return checkInt64(BigInt(value) * 10n ** BigInt(scale), value, place);
  return scaleFraction(value, scale, place);
}

function scaleFraction(value: number, scale: number, place: AmountPlace): bigint {
  if (scale === 0)
    throw refuse(value, place, 'a whole number', 'Round it, or make the counter column numeric with a scale.');
  const rounded = value.toFixed(scale);
  if (Math.abs(value - Number(rounded)) > Math.abs(value) * FLOAT_NOISE) {
    throw refuse(
      value,
      place,
      `at most ${scale} digits after the decimal point`,
      'Round it, or give the counter column a larger scale.',
    );
  }
  return parseDecimal(rounded, scale, place);
}

/**
 * A number as the database returns it (`12.50`, `-0.5`, `1e3`), as an exact integer in units of 10^-scale.
 *
 * @throws AmountError when it is no number, has more digits than the scale (trailing zeros are fine), or exceeds int64.
 */
export function parseDecimal(
  value: unknown,
  scale: number,
  place: AmountPlace = { label: 'counter', from: 'the value' },
): bigint {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw refuse(
      value,
      place,
      'an exact number',
      'Have the driver return this column as text: a number of this size has lost digits.',
    );
  }
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value;
  const match = typeof text === 'string' ? /^\s*([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,5}))?\s*$/i.exec(text) : null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || whole + fraction === '')
    throw refuse(value, place, 'a decimal number', 'Store finite numbers only.');
  const magnitude = shiftDigits(whole + fraction, Number(exponent) - fraction.length + scale);
  if (magnitude === null)
    throw refuse(
      value,
      place,
      `at most ${scale} digits after the decimal point and no more than int64 holds`,
      'Round it, or give the counter column a larger scale.',
    );
  return checkInt64(sign === '-' ? -magnitude : magnitude, value, place);
}

/** Digits × 10^by when that is an integer of reasonable size. */
function shiftDigits(digits: string, by: number): bigint | null {
  const significant = digits.replace(/^0+/, '');
  if (significant === '') return 0n;
  if (by > MAX_EXPONENT) return null;
  if (by >= 0) return BigInt(significant) * 10n ** BigInt(by);
  const dropped = significant.slice(by);
  if (-by >= significant.length || /[^0]/.test(dropped)) return null;
  return BigInt(significant.slice(0, by));
}

/** Writes an amount in units of 10^-scale as decimal text, with all digits of the scale. */
export function formatDecimal(amount: bigint, scale: number): string {
  if (scale === 0) return amount.toString();
  const digits = (amount < 0n ? -amount : amount).toString().padStart(scale + 1, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/**
 * An amount in units of 10^-scale, as far as 64 bits hold it; `value` is what it was made of.
 *
 * @throws AmountError when they do not
 */
export function checkInt64(amount: bigint, value: unknown, place: AmountPlace): bigint {
  if (amount <= INT64_MAX && amount >= INT64_MIN) return amount;
  throw refuse(value, place, 'an amount that fits 64 bits at the scale of the column', 'Count in larger units.');
}

function refuse(value: unknown, place: AmountPlace, expected: string, advice: string): AmountError {
  const got = describe(value);
  return new AmountError(`${place.label}: expected ${place.from} to be ${expected}, got: ${got}. ${advice}`, {
    label: place.label,
    from: place.from,
    got,
  });
}
