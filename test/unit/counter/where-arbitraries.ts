import * as fc from 'fast-check';
import {
  And,
  Any,
  ArrayContainedBy,
  ArrayContains,
  ArrayOverlap,
  Between,
  Equal,
  type FindOperator,
  In,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Like,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
} from 'typeorm';

import { type Kind, KINDS, patterns } from './thing-values';

/** What a `where` may say about one column: a value, or operators nested up to three deep. */
export function conditions({ value, has }: Kind): fc.Arbitrary<unknown> {
  const list = fc.array(value, { maxLength: 3 });
  const leaf = fc.oneof(
    value.map(Equal),
    list.map(In),
    fc.array(fc.option(value), { maxLength: 3 }).map(Any),
    fc.constant(IsNull()),
    ...(has === 'order' ? orderings(value) : []),
    ...(has === 'like' ? [patterns.map(Like), patterns.map(Like)] : []),
    ...(has === 'containment' ? containments(value as fc.Arbitrary<unknown[]>) : []),
  );
  const { operator } = fc.letrec<{ operator: FindOperator<unknown> }>((tie) => {
    const several = fc.array(tie('operator'), { minLength: 1, maxLength: 3 });
    return {
      operator: fc.oneof(
        { maxDepth: 3, depthSize: 'small' },
        leaf,
        fc.oneof(tie('operator'), value).map(Not),
        several.map((parts) => And(...parts)),
        several.map((parts) => Or(...parts)),
      ) as fc.Arbitrary<FindOperator<unknown>>,
    };
  });
  return fc.oneof(value, operator, operator, operator);
}

function orderings(value: fc.Arbitrary<unknown>): fc.Arbitrary<FindOperator<unknown>>[] {
  return [
    value.map(LessThan),
    value.map(LessThanOrEqual),
    value.map(MoreThan),
    value.map(MoreThanOrEqual),
    fc.tuple(value, value).map(([from, to]) => Between(from, to)),
  ];
}

function containments(list: fc.Arbitrary<unknown[]>): fc.Arbitrary<FindOperator<unknown>>[] {
  return [list.map(ArrayContains), list.map(ArrayContainedBy), list.map(ArrayOverlap)];
}

const byProperty = new Map(Object.entries(KINDS).map(([name, kind]) => [name, conditions(kind)]));
const nulls = fc.constantFrom(IsNull(), Not(IsNull()));
const conditionsOf = (name: string) => byProperty.get(name) ?? nulls;
const part = fc.record({ size: conditionsOf('int'), label: conditionsOf('text') }, { requiredKeys: [] });
const properties: Record<string, fc.Arbitrary<unknown>> = {
  ...Object.fromEntries(byProperty),
  json: nulls,
  numerics: nulls,
  enums: nulls,
  part: fc.oneof(part, fc.array(part, { minLength: 1, maxLength: 2 })),
};

// With more properties hardly a row is left.
const objects = fc
  .subarray(Object.keys(properties), { minLength: 1, maxLength: 2 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, properties[name] ?? nulls]))));

/** An object of one or two properties, or a list of alternatives. */
export const wheres = fc.oneof(objects, fc.array(objects, { minLength: 1, maxLength: 3 }));

/** One property and what is said about it. */
export const singles = fc
  .constantFrom(...byProperty.keys())
  .chain((name) => fc.tuple(fc.constant(name), conditionsOf(name)));
