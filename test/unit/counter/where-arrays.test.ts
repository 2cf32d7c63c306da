import { Any, ArrayContainedBy, ArrayContains, ArrayOverlap, Equal, In, IsNull, Not } from 'typeorm';

import { openThings, type Things } from './things';

/** Of `ints`, by id. */
const ROWS = [
  null,
  '{}',
  '{1}',
  '{1,2}',
  '{2,1}',
  '{1,NULL}',
  '{NULL}',
  '[5:6]={1,2}',
  '{{1,2},{3,4}}',
  '[0:0][0:1]={{1,2}}',
  '{1,1}',
];

describe('an array column', () => {
  let things: Things;

  beforeAll(async () => {
    things = await openThings();
    for (const ints of ROWS) await things.add({ ints });
  });
  afterAll(() => things.close());

  const cases: [name: string, condition: unknown, expected: (string | null)[]][] = [
    ['equals its elements in order, whatever its lower bound', Equal([1, 2]), ['{1,2}', '[5:6]={1,2}']],
    ['equals an empty one', [], ['{}']],
    ['equals with NULL for the same', [1, null], ['{1,NULL}']],
    ['equals one of several', In([[1], [2, 1]]), ['{1}', '{2,1}']],
    ['is none of several', Not(Any([[1], null])), []],
    ['is unknown when NULL', Not(IsNull()), ROWS.slice(1)],
    ['contains, in any order and dimension', ArrayContains([2, 1, 1]), ['{1,2}', '{2,1}', '[5:6]={1,2}', '{{1,2},{3,4}}', '[0:0][0:1]={{1,2}}']],
    ['contains nothing', ArrayContains([]), ROWS.slice(1)],
    ['never contains NULL', Not(ArrayContains([1, null])), ROWS.slice(1)],
    ['is contained', ArrayContainedBy([1]), ['{}', '{1}', '{1,1}']],
    ['is not contained with a NULL', ArrayContainedBy([1, null]), ['{}', '{1}', '{1,1}']],
    ['overlaps', ArrayOverlap([4, 7, null]), ['{{1,2},{3,4}}']],
    ['does not overlap an empty one', Not(ArrayOverlap([])), ROWS.slice(1)],
  ]; // prettier-ignore

  it.each(cases)('%s', async (_name, condition, expected) => {
    const where = things.compile({ ints: condition });
    const selected = (holds: (id: number) => boolean | null | undefined) =>
      ROWS.filter((_row, id) => holds(id) === true);
    const truths = await things.truths(where);
    expect(selected((id) => truths[id])).toEqual(expected);
    expect(selected((id) => where.test(things.rows()[id] ?? {}))).toEqual(expected);
  });

  it('refuses what the driver gives otherwise than as a list', () => {
    const where = things.compile({ ints: ArrayContains([1]) });
    expect(() => where.test({ ints: '{1}' })).toThrow('to come from the driver as integer[], got: string');
    expect(() => where.test({ ints: ['x'] })).toThrow('to come from the driver as integer, got: string');
  });
});
