import * as fc from 'fast-check';
import { And, Any, In, IsNull, Not, Or } from 'typeorm';

import { KINDS } from './thing-values';
import { openThings, type Things } from './things';
import { singles, wheres } from './where-arbitraries';

/** Of rows and conditions alike. */
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** The column of a property of Thing. */
const COLUMNS: Readonly<Record<string, string>> = { constructed: 'boolean 2' };

const rows = fc.record({
  ...Object.fromEntries(
    Object.entries(KINDS).map(([name, { stored }]) => [COLUMNS[name] ?? name, fc.option(stored, { freq: 5 })]),
  ),
  partSize: fc.constantFrom(null, '0', '1', '2'),
  partLabel: fc.option(KINDS['text']?.stored ?? fc.string()),
  json: fc.constantFrom(null, '1'),
  numerics: fc.constantFrom(null, '{1}'),
  enums: fc.constantFrom(null, '{red}'),
});

describe(`a compiled where (SEED=${seed})`, () => {
  let things: Things;

  beforeAll(async () => {
    things = await openThings();
    await things.add({});
    for (const row of fc.sample(rows, { seed, numRuns: 150 })) await things.add(row);
  });
  afterAll(() => things.close());

  const truthsInJs = (where: unknown): boolean[] => {
    const compiled = things.compile(where);
    return things.rows().map((row) => compiled.test(row));
  };
  const truthsInSql = (where: unknown) => things.truths(things.compile(where));
  const count = (where: unknown): number => truthsInJs(where).filter(Boolean).length;

  it('is true in JS, or its negation, where it is in SQL', async () => {
    await fc.assert(
      fc.asyncProperty(singles, async ([property, condition]) => {
        const truths = await truthsInSql({ [property]: condition });
        expect(truthsInJs({ [property]: condition })).toEqual(truths.map((truth) => truth === true));
        expect(truthsInJs({ [property]: Not(condition) })).toEqual(truths.map((truth) => truth === false));
      }),
      { seed, numRuns: 600 },
    );
  });

  it('selects the same rows in JS as in SQL, by several columns and alternatives', async () => {
    await fc.assert(
      fc.asyncProperty(wheres, async (where) => {
        const truths = await truthsInSql(where);
        expect(truthsInJs(where)).toEqual(truths.map((truth) => truth === true));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('finds something of every kind', () => {
    const missed = Object.entries(KINDS).filter(
      ([property, { value }]) =>
        !fc.sample(value, { seed, numRuns: 200 }).some((one) => count({ [property]: one }) > 0),
    );
    expect(missed).toEqual([]);
  });

  it('leaves rows out for which it is unknown, and so does its negation', () => {
    const known = count({ int: Not(IsNull()) });
    expect(known).toBeLessThan(things.rows().length);
    expect(count({ int: 1 }) + count({ int: Not(1) })).toBe(known);
    expect(count({ int: Or(In([1]), Not(In([1]))) })).toBe(known);
    expect(count({ int: And(In([1]), Not(In([1]))) })).toBe(0);
    expect(count({ int: Not(And(In([1]), Not(In([1])))) })).toBe(known);
    expect(count({ int: Or(IsNull(), In([1]), Not(In([1]))) })).toBe(things.rows().length);
  });

  it('takes NULL in an Any for unknown, and an empty list for false', () => {
    expect(count({ int: Any([1, null]) })).toBe(count({ int: 1 }));
    expect(count({ int: Not(Any([1, null])) })).toBe(0);
    expect(count({ int: Not(Any([null])) })).toBe(0);
    for (const empty of [In([]), Any([])]) expect(count({ int: Not(empty) })).toBe(things.rows().length);
  });

  it('takes a list for alternatives, in an embedded too', () => {
    const either = count([{ int: 1 }, { boolean: true }]);
    expect(either).toBe(
      count({ int: 1 }) + count({ int: Not(1), boolean: true }) + count({ int: IsNull(), boolean: true }),
    );
    expect(count([{ int: 1 }])).toBe(count({ int: 1 }));
    expect(count({ part: [{ size: 1 }, { size: 2 }] })).toBe(count({ part: { size: In([1, 2]) } }));
    expect(count({})).toBe(things.rows().length);
  });

  it('binds an instant that no time zone of the process moves', () => {
    const bound: unknown[] = [];
    const instants = ['1800-06-01T12:00:00.001Z', '-000043-03-15T12:00:00.000Z', '+012000-01-01T00:00:00.000Z'];
    const where = things.compile({ timestamptz: In(instants.map((instant) => new Date(instant))) });
    where.toSql('t', (value) => `$${bound.push(value)}`, String);
    expect(bound).toEqual(['1800-06-01T12:00:00.001Z', '0044-03-15T12:00:00.000Z BC', '12000-01-01T00:00:00.000Z']);
  });

  it('names every column that it looks at, as the database does', () => {
    const where = [
      { constructed: true, part: { size: 1 } },
      { part: [{ label: Or(IsNull(), In(['a'])) }], json: Not(IsNull()), constructed: false },
      { texts: Any([null]) },
    ];
    expect(things.compile(where).columns).toEqual(['boolean 2', 'partSize', 'partLabel', 'json', 'texts']);
  });
});
