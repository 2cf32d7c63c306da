import { InstanceChecker } from 'typeorm';

import { describe } from '../../describe';
import { didYouMean } from '../../suggest';
import { comparisonOf } from './comparison';
import type { Row } from '../definition';
import { allOf, anyOf, complete, type Condition, type SqlContext } from './truth';
import { compileValue } from './where-operators';
import type { WhereContext } from './where-site';

/** A compiled `where`: the same truth in JS, on raw driver rows, and in SQL. */
export interface Where {
  /** Database names of the columns it looks at. */
  readonly columns: readonly string[];
  /** True only when SQL would say true: a comparison with NULL is unknown, and so is its negation. */
  test(row: Row): boolean;
  /** A boolean SQL expression; `bind` takes a value and returns its placeholder. */
  toSql(alias: string, bind: (value: unknown) => string, escape: (name: string) => string): string;
}

/** Where an object of properties stands. */
interface Scope extends WhereContext {
  /** For messages: `where`, `where[1]`, `where.address`. */
  readonly name: string;
  /** Of the property paths: empty, or `address.`. */
  readonly prefix: string;
  /** Collects the columns looked at. */
  readonly columns: Set<string>;
}

/** Compiles a `FindOptionsWhere` over own columns, or a list of alternatives; reports every mistake, and then returns `null`. */
export function compileWhere(where: unknown, context: WhereContext): Where | null {
  const columns = new Set<string>();
  const root = compileAlternatives(where, { ...context, name: 'where', prefix: '', columns });
  if (root === null) return null;
  return Object.freeze<Where>({
    columns: Object.freeze([...columns]),
    test: (row) => root.test(row) === true,
    toSql: (alias, bind, escape) =>
      root.sql({ bind, column: (name) => `${escape(alias)}.${escape(name)}` } satisfies SqlContext),
  });
}

function compileAlternatives(where: unknown, scope: Scope): Condition | null {
  if (!Array.isArray(where)) return compileObject(where, scope);
  if (where.length === 0) {
    scope.problem(
      `expected '${scope.name}' to list at least one alternative, got: []. Leave it out for every row, or use 'if'`,
    );
    return null;
  }
  const parts = complete(
    Array.from(where as unknown[], (part, at) => compileObject(part, { ...scope, name: `${scope.name}[${at}]` })),
  );
  return parts === null ? null : anyOf(parts);
}

function compileObject(where: unknown, scope: Scope): Condition | null {
  if (!isPlain(where)) {
    const advice = where === undefined ? '. Leave it out' : '';
    scope.problem(`expected '${scope.name}' to be an object of properties, got: ${describe(where)}${advice}`);
    return null;
  }
  const parts = complete(Object.entries(where).map(([key, value]) => compileProperty(key, value, scope)));
  return parts === null ? null : allOf(parts);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !InstanceChecker.isFindOperator(value);
}

function compileProperty(key: string, value: unknown, scope: Scope): Condition | null {
  const { metadata, driver, columns } = scope;
  const path = scope.prefix + key;
  const name = `${scope.name}.${key}`;
  const column = metadata.columns.find(({ propertyPath }) => propertyPath === path);
  if (
    column !== undefined &&
    !column.isVirtualProperty &&
    !(column.isVirtual && column.relationMetadata !== undefined)
  ) {
    columns.add(column.databaseName);
    return compileValue(value, { ...scope, name, column, comparison: comparisonOf(column, driver) });
  }
  if (metadata.allEmbeddeds.some(({ propertyPath }) => propertyPath === path))
    return compileAlternatives(value, { ...scope, name, prefix: `${path}.` });
  scope.problem(`expected '${name}' to be a stored column of ${metadata.name}${adviseColumn(path, scope)}`);
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
