import * as fc from 'fast-check';

/** What one column may hold, and what it may be compared with. */
export interface Kind {
  /** As SQL text. */
  readonly stored: fc.Arbitrary<string>;
  readonly value: fc.Arbitrary<unknown>;
  readonly has?: 'order' | 'like' | 'containment';
}

const words = (alphabet: readonly string[]) =>
  fc.array(fc.constantFrom(...alphabet), { maxLength: 4 }).map((parts) => parts.join(''));
const texts = words([...Array.from('aAbN%_\\\'"{},é😀 '), 'e\u0301', '\n', 'NULL', '\ufffd']);
const shortTexts = texts.map((text) => Array.from(text).slice(0, 5).join(''));

/** Of LIKE. */
export const patterns = words([...Array.from('%%%__aAbN é😀"'), 'e\u0301', '\\%', '\\_', '\\\\', '\\a']);

function kind(stored: readonly string[], values: readonly unknown[], has?: Kind['has']): Kind {
  const both = { stored: fc.constantFrom(...stored), value: fc.constantFrom(...values) };
  return has === undefined ? both : { ...both, has };
}

const boolean = kind(['true', 'false'], [true, false], 'order');
const text: Kind = { stored: texts, value: texts, has: 'like' };
const char: Kind = { stored: shortTexts, value: shortTexts, has: 'like' };
const UUIDS = ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000001'];
const uuid = kind(
  UUIDS,
  [...UUIDS, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '99999999-9999-4999-8999-999999999999'],
  'order',
);

const INTS = ['0', '1', '-1', '2147483647', '-2147483648'];
const BIGINTS = ['0', '9007199254740993', '9007199254740992', '-9223372036854775808'];
const DOUBLES = ['0.1', '0.30000000000000004', '-0', 'NaN', '-Infinity', '5e-324', '1.7976931348623157e308'];
const REALS = ['0.1', '1.5', '-0', 'NaN', 'Infinity', '16777217', '1e-45', '3.4e38'];
const double = kind(
  DOUBLES,
  [0.1, 0.3, 0.1 + 0.2, 0, -0, Infinity, Number.NaN, 5e-324, '1.7976931348623157e308'],
  'order',
);
const real = kind(REALS, [0.1, 1.5, 0, -0, 16777217, 16777216, Number.NaN, 1e-45, '3.4e38', 1e300], 'order');

const time = kind(
  [
    '2026-01-01 00:00:00.123456',
    '2026-01-01 00:00:00.123',
    '1969-12-31 23:59:59.9999',
    '2000-01-01',
    '0044-03-15 12:00:00.0005 BC',
    '0099-12-31 23:59:59.9995',
    '12000-01-01',
    'infinity',
    '-infinity',
  ],
  [
    new Date(2026, 0, 1, 0, 0, 0, 123),
    new Date('2026-01-01T00:00:00.123Z'),
    new Date('1969-12-31T23:59:59.999Z'),
    new Date(2000, 0, 1),
    new Date('-000043-03-15T12:00:00.000Z'),
    new Date('0099-12-31T23:59:59.999Z'),
    new Date('+012000-01-01T00:00:00.000Z'),
    Infinity,
    -Infinity,
  ],
  'order',
);
const DAYS = ['2026-01-01', '1969-12-31', '2000-02-29', '0050-03-01', '9999-12-31'];

/** One dimension or two, NULLs and other lower bounds among them. */
function arrayOf(stored: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>): Kind {
  const element = fc
    .option(stored, { freq: 4 })
    .map((one) => (one === null ? 'NULL' : `"${one.replaceAll(/[\\"]/g, '\\$&')}"`));
  const flat = fc.array(element, { maxLength: 3 });
  const pair = fc.tuple(element, element).map((both) => `{${both.join(',')}}`);
  return {
    stored: fc.oneof(
      { weight: 4, arbitrary: flat.map((list) => `{${list.join(',')}}`) },
      flat.filter(({ length }) => length > 0).map((list) => `[3:${list.length + 2}]={${list.join(',')}}`),
      fc.tuple(pair, pair).map((both) => `{${both.join(',')}}`),
      fc.tuple(pair, pair).map((both) => `[0:1][-1:0]={${both.join(',')}}`),
    ),
    value: fc.array(fc.option(value, { freq: 6 }), { maxLength: 3 }),
    has: 'containment',
  };
}

/** By property of Thing. */
export const KINDS: Readonly<Record<string, Kind>> = {
  smallint: kind(['0', '1', '-1', '32767', '-32768'], [0, 1, '-1', 32767, 32768, 1.5, 1n], 'order'),
  int: kind(INTS, [0, 1, -1, 2147483647, 1.5, 2 ** 31, '1', '1e0'], 'order'),
  bigint: kind(
    BIGINTS,
    ['9007199254740993', 0, 9007199254740992, -5, '9223372036854775808', 9007199254740993n],
    'order',
  ),
  numeric: kind(
    ['1.5', '1.50', '0.1', '-3', 'NaN', 'Infinity', '-Infinity', '12345678901234567890.123456789', '1e-300', '-1e300'],
    ['1.5', 1.5, 0.1, -3, '12345678901234567890.123456789', 'NaN', 1e-7, '-Infinity', 1e-300, '-1e300'],
    'order',
  ),
  real,
  double,
  boolean,
  constructed: boolean,
  timestamptz: time,
  precise: time,
  timestamp: time,
  date: kind(
    [...DAYS, 'infinity', '-infinity', '0044-03-15 BC', '12000-01-01'],
    [...DAYS, new Date(2026, 0, 1)],
    'order',
  ),
  text,
  collated: text,
  char,
  collatedChar: char,
  enum: kind(['red', 'green', '50%'], ['red', 'green', 'blue', '50%'], 'like'),
  uuid,
  scaled: kind(['100', '150'], [1, 1.5], 'order'),
  smallints: arrayOf(fc.constantFrom('0', '1', '-32768'), fc.constantFrom(0, 1, -32768)),
  ints: arrayOf(fc.constantFrom(...INTS), fc.constantFrom(0, 1, '-1', 2147483647)),
  bigints: arrayOf(fc.constantFrom(...BIGINTS), fc.constantFrom('9007199254740993', 0, 9007199254740993n)),
  reals: arrayOf(real.stored, real.value),
  doubles: arrayOf(double.stored, double.value),
  booleans: arrayOf(boolean.stored, boolean.value),
  texts: arrayOf(text.stored, text.value),
  collateds: arrayOf(text.stored, text.value),
  chars: arrayOf(char.stored, char.value),
  uuids: arrayOf(uuid.stored, uuid.value),
};
