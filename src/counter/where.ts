import { type Driver, type EntityMetadata, type FindOperator, InstanceChecker } from 'typeorm';

import { describe } from '../describe';
import { didYouMean } from '../suggest';
import { type Comparison, comparisonOf, type Operand } from './comparison';
import type { Row } from './definition';
import type { ColumnMetadata } from './sql-type';
import { type Condition, allOf, compare, FALSE, isNull, negate, oneOf, type SqlContext } from './truth';

/** A compiled `where`: the same truth in JS, on raw driver rows, and in SQL. */
export interface Where {
  /** Database names of the columns it looks at. */
  readonly columns: readonly string[];
  /** True only when SQL would say true: a comparison with NULL is unknown, and so is its negation. */
  test(row: Row): boolean;
  /** A boolean SQL expression; `bind` takes a value and returns its placeholder. */
  toSql(alias: string, bind: (value: unknown) => string, escape: (name: string) => string): string;
}

/** What the compiler needs to know, and where it reports. */
export interface WhereContext {
  readonly metadata: EntityMetadata;
  readonly driver: Driver;
  /** Reports one mistake: what was expected, got what, what to do. */
  readonly problem: (message: string) => void;
}

interface Site extends WhereContext {
  readonly path: string;
  readonly column: ColumnMetadata;
  /** `null` for types that compare with nothing but NULL. */
  readonly comparison: Comparison | null;
}

const SUPPORTED = 'equality, Equal, In, IsNull, Not, Between, LessThan, LessThanOrEqual, MoreThan or MoreThanOrEqual';

const ORDERINGS: Readonly<Record<string, { readonly sql: string; readonly holds: (order: number) => boolean }>> = {
  lessThan: { sql: '<', holds: (order) => order < 0 },
  lessThanOrEqual: { sql: '<=', holds: (order) => order <= 0 },
  moreThan: { sql: '>', holds: (order) => order > 0 },
  moreThanOrEqual: { sql: '>=', holds: (order) => order >= 0 },
};

const EQUALITY = { sql: '=', holds: (order: number) => order === 0 };

/** Compiles a `FindOptionsWhere` over own columns; reports every mistake, and then returns `null`. */
export function compileWhere(where: unknown, context: WhereContext): Where | null {
  const columns = new Set<string>();
  const root = compileObject(where, '', context, columns);
  if (root === null) return null;
  return Object.freeze<Where>({
    columns: Object.freeze([...columns]),
    test: (row) => root.test(row) === true,
    toSql: (alias, bind, escape) =>
      root.sql({ bind, column: (name) => `${escape(alias)}.${escape(name)}` } satisfies SqlContext),
  });
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !InstanceChecker.isFindOperator(value);
}

function compileObject(where: unknown, prefix: string, context: WhereContext, columns: Set<string>): Condition | null {
  if (!isPlain(where)) {
    const name = prefix === '' ? 'where' : `where.${prefix.slice(0, -1)}`;
    context.problem(
      `expected '${name}' to be an object of properties, got: ${describe(where)}. Declare one counter per alternative, or use 'if'`,
    );
    return null;
  }
  const parts = Object.entries(where).map(([key, value]) => compileProperty(prefix + key, value, context, columns));
  return parts.includes(null) ? null : allOf(parts.filter((part) => part !== null));
}

function compileProperty(path: string, value: unknown, context: WhereContext, columns: Set<string>): Condition | null {
  const { metadata, driver } = context;
  const column = metadata.columns.find(({ propertyPath }) => propertyPath === path);
  if (
    column !== undefined &&
    !column.isVirtualProperty &&
    !(column.isVirtual && column.relationMetadata !== undefined)
  ) {
    columns.add(column.databaseName);
    return compileValue(value, { ...context, path, column, comparison: comparisonOf(column, driver) });
  }
  if (metadata.allEmbeddeds.some(({ propertyPath }) => propertyPath === path))
    return compileObject(value, `${path}.`, context, columns);
  context.problem(`expected 'where.${path}' to be a stored column of ${metadata.name}${adviseColumn(path, context)}`);
  return null;
}

function adviseColumn(path: string, { metadata }: WhereContext): string {
  const relation = metadata.relations.find(({ propertyPath }) => propertyPath === path);
  if (relation === undefined) {
    const known = metadata.columns
      .filter(({ isVirtualProperty }) => !isVirtualProperty)
      .map(({ propertyPath }) => propertyPath);
    return didYouMean(path, known) || ', got: no such property. Use a property with a @Column';
  }
  const own = relation.joinColumns.find(({ isVirtual }) => !isVirtual);
  return `, got: a relation. Use its foreign-key column${own === undefined ? ', declared as a @Column of its own' : ` '${own.propertyPath}'`}`;
}

function compileValue(value: unknown, site: Site): Condition | null {
  return InstanceChecker.isFindOperator(value)
    ? compileOperator(value as FindOperator<unknown>, site)
    : compileComparison(value, EQUALITY, site);
}

function compileOperator(operator: FindOperator<unknown>, site: Site): Condition | null {
  const { child } = operator;
  if (operator.type === 'isNull') return isNull(site.column.databaseName);
  if (operator.type === 'not') {
    const inner = compileValue(child ?? operator.value, site);
    return inner === null ? null : negate(inner);
  }
  if (operator.type === 'equal' && child !== undefined) return compileOperator(child, site);
  if (child !== undefined)
    return refuseOperator(`${operatorName(operator.type)}(${operatorName(child.type)}(…))`, site);
  if (operator.type === 'equal') return compileComparison(operator.value, EQUALITY, site);
  if (operator.type === 'in') return compileIn(operator.value, site);
  if (operator.type === 'between') return compileBetween(operator.value, site);
  const ordering = ORDERINGS[operator.type];
  if (ordering === undefined) return refuseOperator(operatorName(operator.type), site);
  return isOrdered(operator.type, site) ? compileComparison(operator.value, ordering, site) : null;
}

function operatorName(type: string): string {
  return type === 'ilike' ? 'ILike' : type.charAt(0).toUpperCase() + type.slice(1);
}

function refuseOperator(name: string, { path, problem }: Site): null {
  problem(`expected 'where.${path}' to use ${SUPPORTED}, got: ${name}. Use 'if' instead`);
  return null;
}

function isOrdered(type: string, { comparison, path, problem, column }: Site): boolean {
  if (comparison === null || comparison.ordered) return true;
  problem(
    `expected 'where.${path}' to use no ordering on a ${describeType(column)} column (its order depends on the collation), got: ${operatorName(type)}. Use 'if' instead`,
  );
  return false;
}

function compileIn(values: unknown, site: Site): Condition | null {
  if (!Array.isArray(values)) return refuseOperator(`In(${describe(values)})`, site);
  if (values.length === 0) return FALSE;
  const operands = values.map((value) => operandOf(value, site));
  if (site.comparison === null || operands.includes(null)) return null;
  return oneOf(
    site.column.databaseName,
    operands.filter((operand) => operand !== null),
    site.comparison,
  );
}

function compileBetween(range: unknown, site: Site): Condition | null {
  if (!isOrdered('between', site)) return null;
  const [from, to] = Array.isArray(range) ? (range as unknown[]) : [];
  const bounds = [
    compileComparison(from, ORDERINGS['moreThanOrEqual'] ?? EQUALITY, site),
    compileComparison(to, ORDERINGS['lessThanOrEqual'] ?? EQUALITY, site),
  ];
  return bounds.includes(null) ? null : allOf(bounds.filter((bound) => bound !== null));
}

function compileComparison(
  value: unknown,
  relation: { readonly sql: string; readonly holds: (order: number) => boolean },
  site: Site,
): Condition | null {
  const operand = operandOf(value, site);
  return operand === null || site.comparison === null
    ? null
    : compare(site.column.databaseName, operand, relation, site.comparison);
}

function operandOf(value: unknown, { path, column, comparison, driver, problem }: Site): Operand | null {
  if (comparison === null) {
    problem(
      `expected 'where.${path}' to be of a type that can be compared, got: ${describeType(column)}, which only supports IsNull() and Not(IsNull()). Use 'if' instead`,
    );
    return null;
  }
  // The driver applies the column's transformers, as it does on save.
  const prepared: unknown =
    value === null || value === undefined ? value : driver.preparePersistentValue(value, column);
  const operand = prepared === null || prepared === undefined ? null : comparison.operand(prepared);
  if (operand !== null) return operand;
  const advice = prepared === null || prepared === undefined ? 'Use IsNull() for NULL' : 'Use a value of its type';
  problem(`expected 'where.${path}' to be compared with a ${describeType(column)}, got: ${describe(value)}. ${advice}`);
  return null;
}

function describeType(column: ColumnMetadata): string {
  const type = typeof column.type === 'function' ? column.type.name : column.type;
  return column.isArray ? `${type} array` : type;
}
