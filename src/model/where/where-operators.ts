import { type FindOperator, InstanceChecker } from 'typeorm';

import { describe } from '../../describe';
import { type ArrayOperand, CONTAINED_BY, CONTAINS, isArrayOperand, OVERLAPS } from './array-comparison';
import { LIKE, likePattern } from './like';
import { allOf, anyOf, compare, complete, type Condition, FALSE, isNull, negate, oneOf, type Relation } from './truth';
import { comparisonAt, describeType, operandOf, prepare, type Site } from './where-site';

/** Compiles an operator with this value; `name` is the function that users call. */
type Compile = (value: unknown, site: Site, name: string) => Condition | null;

const EQUAL = byOrder('=', (order) => order === 0);
const AT_LEAST = byOrder('>=', (order) => order >= 0);
const AT_MOST = byOrder('<=', (order) => order <= 0);

/** By the type that TypeORM gives them. */
const OPERATORS: Readonly<Record<string, Compile>> = {
  isNull: (_value, { column }) => isNull(column.databaseName),
  not: compileNot,
  and: composed(allOf),
  or: composed(anyOf),
  equal: compileValue,
  in: listed({ nulls: false }),
  any: listed({ nulls: true }),
  lessThan: ordered(byOrder('<', (order) => order < 0)),
  lessThanOrEqual: ordered(AT_MOST),
  moreThan: ordered(byOrder('>', (order) => order > 0)),
  moreThanOrEqual: ordered(AT_LEAST),
  between: compileBetween,
  like: compileLike,
  arrayContains: onArrays(CONTAINS),
  arrayContainedBy: onArrays(CONTAINED_BY),
  arrayOverlap: onArrays(OVERLAPS),
  ilike: refused("what is upper and lower case depends on the database's locale"),
  jsonContains: refused('JavaScript loses digits of the numbers in JSON'),
  raw: refused('JavaScript cannot evaluate SQL'),
};

/** Compiles what a `where` says about one column: a value, or an operator. Reports mistakes, and then returns `null`. */
export function compileValue(value: unknown, site: Site): Condition | null {
  return InstanceChecker.isFindOperator(value)
    ? compileOperator(value as FindOperator<unknown>, site)
    : comparedWith(value, EQUAL, site);
}

function compileOperator({ type, child, value }: FindOperator<unknown>, site: Site): Condition | null {
  const name = type === 'ilike' ? 'ILike' : type.charAt(0).toUpperCase() + type.slice(1);
  const compile = OPERATORS[type] ?? refused('it is not known here');
  const nests = type === 'not' || type === 'equal';
  return child === undefined || nests
    ? compile(child ?? value, site, name)
    : refuse(`${name} of an operator`, 'it takes values', site);
}

function refuse(got: string, reason: string, { name, problem }: Site): null {
  problem(`expected '${name}' to be the same condition in JS as in SQL, got: ${got} (${reason}). Use 'if' instead`);
  return null;
}

function refuseColumn(operator: string, reason: string, site: Site): null {
  return refuse(`${operator} on a ${describeType(site.column)} column`, reason, site);
}

function refused(reason: string): Compile {
  return (_value, site, name) => refuse(name, reason, site);
}

function byOrder(sql: string, holds: (order: number) => boolean): Relation {
  return { sql, holds: (raw, operand) => holds(operand.compare(raw)) };
}

function comparedWith(value: unknown, relation: Relation, site: Site): Condition | null {
  const comparison = comparisonAt(site);
  const operand = comparison === null ? null : operandOf(value, comparison, site);
  return comparison === null || operand === null
    ? null
    : compare(site.column.databaseName, comparison, relation, operand);
}

function compileNot(value: unknown, site: Site): Condition | null {
  const inner = compileValue(value, site);
  return inner === null ? null : negate(inner);
}

function composed(combine: (parts: readonly Condition[]) => Condition): Compile {
  return (values, site, name) => {
    if (!Array.isArray(values) || values.length === 0) return refuse(`${name}()`, 'it has no conditions', site);
    const parts = complete(Array.from(values as unknown[], (value) => compileValue(value, site)));
    return parts === null ? null : combine(parts);
  };
}

/** NULL in a list makes every comparison that is not true unknown. */
function listed({ nulls }: { readonly nulls: boolean }): Compile {
  return (list, site, name) => {
    if (!Array.isArray(list)) return refuse(`${name}(${describe(list)})`, 'it takes a list', site);
    const comparison = comparisonAt(site);
    if (comparison === null) return null;
    if (list.length === 0) return FALSE;
    const values = Array.from(list as unknown[]).filter((value) => !nulls || value !== null);
    const operands = complete(values.map((value) => operandOf(value, comparison, site)));
    const orNull = values.length < list.length;
    return operands === null ? null : oneOf(site.column.databaseName, comparison, operands, orNull);
  };
}

function ordered(relation: Relation): Compile {
  return (value, site, name) => (hasOrder(site, name) ? comparedWith(value, relation, site) : null);
}

function hasOrder(site: Site, name: string): boolean {
  const unordered = site.comparison?.unordered ?? null;
  if (unordered !== null) refuseColumn(name, unordered, site);
  return unordered === null;
}

function compileBetween(range: unknown, site: Site, name: string): Condition | null {
  if (!hasOrder(site, name)) return null;
  const [from, to] = Array.isArray(range) ? (range as unknown[]) : [];
  const bounds = complete([comparedWith(from, AT_LEAST, site), comparedWith(to, AT_MOST, site)]);
  return bounds === null ? null : allOf(bounds);
}

function compileLike(value: unknown, site: Site, name: string): Condition | null {
  const comparison = comparisonAt(site);
  if (comparison === null) return null;
  if (comparison.kind !== 'text') return refuseColumn(name, 'only text has it', site);
  const { databaseName } = site.column;
  const pattern = likePattern(prepare(value, site), databaseName);
  return pattern === null
    ? refuse(`${name}(${describe(value)})`, 'no pattern that PostgreSQL accepts', site)
    : compare(databaseName, comparison, LIKE, pattern);
}

function onArrays(relation: Relation<ArrayOperand>): Compile {
  return (value, site, name) => {
    const comparison = comparisonAt(site);
    if (comparison === null) return null;
    if (comparison.kind !== 'array') return refuseColumn(name, 'only arrays have it', site);
    const operand = operandOf(value, comparison, site);
    return operand !== null && isArrayOperand(operand)
      ? compare(site.column.databaseName, comparison, relation, operand)
      : null;
  };
}
