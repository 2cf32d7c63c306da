import type { Counter, CounterColumn, CounterTarget } from '../../../model/definition';
import { escapeName } from '../escape';
import { pathJoins, targetKeySql } from './path-joins';
import { tableSql } from '../table-names';
import { amongKeys } from '../keys';

/** The source rows of one counter that count for targets of one table, in pieces of a SELECT; the source is `s`. */
interface SourceRows {
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
function sourceRowsId({ source, deletedColumn, discriminator }: Counter, target: CounterTarget): string {
  const { path, foreignKeys, type } = target;
  const names = foreignKeys.map(({ name }) => name);
  return JSON.stringify([source.tablePath, path?.id ?? null, names, type, deletedColumn, discriminator]);
}

/** Which source rows count for a target, in SQL; user functions and the counter's `where` are not part of it. */
function rowConditions(counter: Counter, target: CounterTarget, bind: (value: unknown) => string): string[] {
  return [
    ...(target.type === null ? [] : [`s.${escapeName(target.type.column)}::text = ${bind(target.type.value)}`]),
    ...(counter.deletedColumn === null ? [] : [`s.${escapeName(counter.deletedColumn)} IS NULL`]),
    ...(counter.discriminator === null
      ? []
      : [`s.${escapeName(counter.discriminator.column)}::text = ANY(${bind(counter.discriminator.values)}::text[])`]),
  ];
}

type Bind = (value: unknown) => string;

/** One counter's way to one column of one target table. */
export interface Feed {
  readonly column: CounterColumn;
  readonly counter: Counter;
  readonly target: CounterTarget;
}

/**
 * Groups what is counted from the same source rows, so that they are read once: where one of the counters counts every
 * row, those with a `where` count along. Where all have one, each is read by itself: it may have an index of its own.
 */
export function readTogether(feeds: readonly Feed[]): (readonly Feed[])[] {
  const groups = new Map<string, Feed[]>();
  for (const feed of feeds) {
    const id = sourceRowsId(feed.counter, feed.target);
    groups.set(id, [...(groups.get(id) ?? []), feed]);
  }
  return [...groups.values()].flatMap((group) =>
    group.some(({ counter }) => counter.where === null) ? [group] : group.map((feed) => [feed]),
  );
}

/** Sums of sources that are read together, grouped by target and joined to the keys, as `s0(f0, f1, …, n0, n1, …)`. */
export function sourceJoin(feeds: readonly Feed[], index: number, bind: Bind): string {
  const [{ counter, target }] = feeds as readonly [Feed, ...Feed[]];
  const { foreignKeys } = target;
  const { from, keys, conditions } = sourceRows(counter, target, bind);
  const alone = feeds.length === 1;
  const sums = feeds.map(
    (feed, at) => `${sumOf(feed.counter, alone ? [] : ownConditions(feed.counter, bind))} AS n${at}`,
  );
  const wanted = amongKeys(
    keys,
    foreignKeys.map(({ sqlType }) => sqlType),
  );
  const where = [wanted, ...conditions, ...(alone ? ownConditions(counter, bind) : [])].join(' AND ');
  const on = foreignKeys.map((key, i) => `s${index}.f${i} = k.k${i}::${key.sqlType}`).join(' AND ');
  return `LEFT JOIN (SELECT ${[...keys.map((key, i) => `${key} AS f${i}`), ...sums].join(', ')} FROM ${from}
    WHERE ${where} GROUP BY ${keys.map((_, i) => i + 1).join(', ')}) s${index} ON ${on}`;
}

function sumOf({ amount }: Counter, conditions: readonly string[]): string {
  const sum = amount.from === 'column' ? `SUM(s.${escapeName(amount.column)})` : 'COUNT(*)';
  return conditions.length === 0 ? sum : `${sum} FILTER (WHERE ${conditions.join(' AND ')})`;
}
