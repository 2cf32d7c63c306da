import type { Counter, CounterColumn, CounterTarget } from '../../../model/definition';
import { escapeName } from '../escape';
import { amongKeys } from '../keys';
import { ownConditions, sourceRows, sourceRowsId } from './source-rows';

type Bind = (value: unknown) => string;

/** One counter's way to one column of one kind. */
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
