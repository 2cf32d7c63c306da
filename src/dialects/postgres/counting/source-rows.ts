import type { Counter, CounterTarget } from '../../../model/definition';
import { escapeName } from '../escape';
import { pathJoins, targetKeySql } from './path-joins';
import { rowConditions } from '../row-conditions';
import { tableSql } from '../table-names';

/** The source rows of one counter that count for targets of one kind, in pieces of a SELECT; the source is `s`. */
export interface SourceRows {
  /** What stands after FROM: the source, joined with the rows of its path. */
  readonly from: string;
  /** Expressions of the target's key. */
  readonly keys: readonly string[];
  /** Without the counter's own `where`. */
  readonly conditions: readonly string[];
}

/** User functions, and the counter's own `where`, are not part of it. */
export function sourceRows(counter: Counter, target: CounterTarget, bind: (value: unknown) => string): SourceRows {
  const { path } = target;
  const table = `${tableSql(counter.source)} s`;
  const own = (path?.entry ?? target.foreignKeys).map(({ name, sqlType }) => ({
    sql: `s.${escapeName(name)}`,
    sqlType,
  }));
  return {
    from: path === null ? table : `${table} ${pathJoins('JOIN', path.steps, own, bind)}`,
    keys: path === null ? own.map(({ sql }) => sql) : targetKeySql(path.steps),
    conditions: rowConditions(counter, target, bind),
  };
}

/** The counter's own `where`: a list of no condition, or of one. */
export function ownConditions({ where }: Counter, bind: (value: unknown) => string): string[] {
  return where === null ? [] : [`(${where.toSql('s', bind, escapeName)})`];
}

/** The same for counters whose {@link sourceRows} are. */
export function sourceRowsId({ source, deletedColumn, discriminator }: Counter, target: CounterTarget): string {
  const { path, foreignKeys, type } = target;
  const names = foreignKeys.map(({ name }) => name);
  return JSON.stringify([source.tablePath, path?.id ?? null, names, type, deletedColumn, discriminator]);
}
