import * as fc from 'fast-check';

import { formatDecimal, parseDecimal, scaleAmount } from '../../../src/model/amount';
import { AmountError } from '../../../src/errors';

const place = { label: 'Post.author → User.postsCount', from: 'incrementBy' };
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const scales = fc.integer({ min: 0, max: 18 });

describe('scaleAmount', () => {
  it.each([
    [1, 0, 1n],
    [-3, 2, -300n],
    [-0, 2, 0n],
    [12.5, 2, 1250n],
    [0.1 + 0.2, 2, 30n],
    [1.005, 3, 1005n],
    [0.1 * 3, 1, 3n],
    [5n, 2, 500n],
    [Number.MAX_SAFE_INTEGER, 0, 9007199254740991n],
    [2n ** 63n - 1n, 0, 2n ** 63n - 1n],
    [-(2n ** 63n), 0, -(2n ** 63n)],
  ])('takes %p at scale %i for %p', (value, scale, expected) => {
    expect(scaleAmount(value, scale, place)).toBe(expected);
  });

  it.each([
    [Number.NaN, 0, 'got: NaN'],
    [Infinity, 0, 'got: Infinity'],
    [-Infinity, 0, 'got: -Infinity'],
    ['5', 0, 'got: "5"'],
    [null, 0, 'got: null'],
    [undefined, 0, 'got: undefined'],
    [{}, 0, 'got: an object'],
    [Promise.resolve(1), 0, 'got: a Promise'],
    [true, 0, 'got: true'],
    [0.5, 0, 'expected incrementBy to be a whole number, got: 0.5'],
    [1.005, 2, 'at most 2 digits after the decimal point, got: 1.005'],
    [1e-20, 2, 'at most 2 digits'],
    [2 ** 53, 0, 'Return a bigint'],
    [-(2 ** 53), 0, 'Return a bigint'],
    [2n ** 63n, 0, 'fits 64 bits'],
    [-(2n ** 63n) - 1n, 0, 'fits 64 bits'],
    [Number.MAX_SAFE_INTEGER, 4, 'fits 64 bits'],
  ])('refuses %p at scale %i', (value, scale, message) => {
    const attempt = (): bigint => scaleAmount(value, scale, place);
    expect(attempt).toThrow(AmountError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(/^Post\.author → User\.postsCount: /);
  });

  it('takes a decimal number for the decimal that it was meant to be', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), fc.integer({ min: 0, max: 6 }), (units, scale) => {
        expect(scaleAmount(units / 10 ** scale, scale, place)).toBe(BigInt(units));
      }),
    );
  });
});

describe('parseDecimal', () => {
  it.each([
    ['12.50', 2, 1250n],
    ['12.5000', 2, 1250n],
    ['-0.5', 1, -5n],
    ['-.5', 1, -5n],
    ['+7', 0, 7n],
    ['1e3', 0, 1000n],
    ['1.5e1', 0, 15n],
    ['150e-1', 0, 15n],
    ['0.00000', 0, 0n],
    ['0e9999', 0, 0n],
    ['9223372036854775807', 0, 2n ** 63n - 1n],
    [5, 2, 500n],
    [0.25, 2, 25n],
    [5n, 2, 500n],
  ])('reads %p at scale %i', (value, scale, expected) => {
    expect(parseDecimal(value, scale)).toBe(expected);
  });

  it.each([
    ['12.345', 2],
    ['0.001', 2],
    ['1e-3', 2],
    ['9223372036854775808', 0],
    ['1e99999', 0],
    ['NaN', 0],
    ['Infinity', 0],
    ['', 0],
    ['.', 0],
    ['12,5', 1],
    ['0x10', 0],
    [2 ** 60, 0],
    [null, 0],
    [new Date(), 0],
  ])('refuses %p at scale %i', (value, scale) => {
    expect(() => parseDecimal(value, scale)).toThrow(AmountError);
  });

  it('is the inverse of formatDecimal', () => {
    fc.assert(
      fc.property(int64, scales, (amount, scale) => {
        expect(parseDecimal(formatDecimal(amount, scale), scale)).toBe(amount);
      }),
    );
  });
});

describe('formatDecimal', () => {
  it.each([
    [-50n, 2, '-0.50'],
    [0n, 2, '0.00'],
    [1250n, 2, '12.50'],
    [-7n, 0, '-7'],
  ])('writes %p at scale %i as %p', (amount, scale, expected) => {
    expect(formatDecimal(amount, scale)).toBe(expected);
  });
});
