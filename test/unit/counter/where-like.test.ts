import { And, Like, Not, Or } from 'typeorm';

import { openThings, type Things } from './things';

const TEXTS = [
  '',
  'a',
  'A',
  'ab',
  'a b',
  'a%',
  'a_',
  'a\\',
  'a\\b',
  '%',
  '_',
  'é',
  'e\u0301',
  '😀',
  '👍🏽',
  ' ',
  'a\nb',
  'abab',
];
const PATTERNS = ['', '%', '%%', '_', '__', '_%', '%_', 'a', 'a%', '%b', '%a%', 'a_', 'a\\%', 'a\\_', 'a\\\\', 'a\\\\%', '\\a', '\\é', 'é', 'e_', '\\😀', '%ab', 'a%b%b', '%\n%', 'a%%b', '_a%']; // prettier-ignore

describe('Like', () => {
  let things: Things;
  const select = (where: Record<string, unknown>) => {
    const compiled = things.compile(where);
    return things.rows().filter((row) => compiled.test(row));
  };

  beforeAll(async () => {
    things = await openThings();
    for (const text of TEXTS) {
      const short = Array.from(text).slice(0, 5).join('');
      await things.add({ text, collated: text, char: short, collatedChar: short });
    }
    await things.add({ enum: '50%' });
  });
  afterAll(() => things.close());

  it.each(PATTERNS)('%j matches what it matches in PostgreSQL', async (pattern) => {
    for (const property of ['text', 'collated', 'char', 'collatedChar', 'enum']) {
      const where = things.compile({ [property]: Like(pattern) });
      const truths = await things.truths(where);
      expect(things.rows().map((row) => where.test(row))).toEqual(truths.map((truth) => truth === true));
    }
  });

  it('takes what PostgreSQL calls a character for one', () => {
    const one = select({ text: Like('_') }).map(({ text }) => text);
    expect(one).toEqual(['a', 'A', '%', '_', 'é', '😀', ' ']);
  });

  it('sees the blanks that pad char(n)', () => {
    expect(select({ char: Like('a') })).toEqual([]);
    expect(select({ char: Like('a    ') })).toHaveLength(1);
    expect(select({ char: 'a' })).toHaveLength(1);
  });

  it('tells upper from lower case, whatever the collation', () => {
    expect(select({ collated: Like('A%') }).map(({ collated }) => collated)).toEqual(['A']);
  });

  it('nests', () => {
    const found = select({ text: And(Like('a%'), Not(Or(Like('%b'), Like('_')))) });
    expect(found.map(({ text }) => text)).toEqual(['a%', 'a_', 'a\\']);
    expect(select({ enum: Not(Like('r%')) })).toHaveLength(1);
  });

  it('does not backtrack for ever', () => {
    const where = things.compile({ text: Like(`${'%a'.repeat(30)}%b`) });
    expect(where.test({ text: 'a'.repeat(10_000) })).toBe(false);
  });

  it('refuses what the driver gives otherwise than as text', () => {
    const where = things.compile({ text: Like('a') });
    expect(() => where.test({ text: 5 })).toThrow(
      "expected column \"text\", which a 'where' compares, to come from the driver as text, got: number. Remove the custom type parser, or use 'if'",
    );
  });
});
