import * as fc from 'fast-check';

import {
  decodeColumn,
  encodeColumn,
  keyText,
  keyValuesOf,
  targetTableId,
  tableIdOf,
  targetId,
} from '../../../src/model/target';

// Text with many of the characters that have a meaning in ids.
const text = fc.string({
  unit: fc.oneof(fc.constantFrom(...'%:,/@;\n\r\0. 20ABé'.split('')), fc.string({ minLength: 1, maxLength: 1 })),
});
const parts = fc.record({
  table: text,
  keys: fc.array(text, { minLength: 1, maxLength: 3 }),
  values: fc.array(text, { minLength: 1, maxLength: 3 }),
});

const idOf = ({ table, keys, values }: { table: string; keys: string[]; values: string[] }): string =>
  targetId(targetTableId(table, keys), values) ?? '';

describe('a target id', () => {
  it('gives back what it was made of', () => {
    fc.assert(
      fc.property(parts, (part) => {
        const id = idOf(part);
        expect(tableIdOf(id)).toBe(targetTableId(part.table, part.keys));
        expect(keyValuesOf(id)).toEqual(part.values);
        expect(id).not.toMatch(/[\p{Cc}/@;]/u);
      }),
    );
  });

  it('never collides', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(idOf(a) === idOf(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it('is readable in the usual case', () => {
    expect(targetId(targetTableId('public.user', ['id']), ['5'])).toBe('public.user:id:5');
  });

  it('does not exist when a key is NULL', () => {
    expect(targetId('user:a,b', ['1', null])).toBeNull();
  });
});

describe('an encoded column', () => {
  it('gives back its name', () => {
    fc.assert(fc.property(text, (name) => expect(decodeColumn(encodeColumn(name))).toBe(name)));
  });
});

describe('keyText', () => {
  it.each([
    [5, 'integer', '5'],
    [-0, 'integer', '0'],
    [2n ** 60n, 'bigint', '1152921504606846976'],
    ['a:b', 'text', 'a:b'],
    [true, 'boolean', 'true'],
    [false, 'boolean', 'false'],
    [new Date(0), 'timestamp with time zone', '1970-01-01T00:00:00.000Z'],
    [Buffer.from('ff00', 'hex'), 'bytea', '\\xff00'],
    ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['AB  ', 'bpchar', 'AB'],
    ['AB  ', 'text', 'AB  '],
    [null, 'integer', null],
    [undefined, 'integer', null],
  ])('writes %p of type %s as %p', (value, sqlType, expected) => {
    expect(keyText(value, sqlType)).toBe(expected);
  });
});
