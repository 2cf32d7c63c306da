import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

import type { Snapshot } from '../buffer/buffer';
import { parseDecimal, scaleAmount } from '../counter/amount';
import type { Counter, CounterColumn, CounterTarget, TargetKind } from '../counter/definition';
import { escapeName, escapePath } from './escape';
import { amongKeys, keyArrays, listedKeys, matchesListed } from './keys';
import { isRefused, waitingSum } from './outbox/waiting-sum';
import { rowsOf, type ResultRow, withConnection, withTransaction } from './query';
import { recountByMethod } from './recount-by-method';
import { recountBySources } from './recount-by-sources';
import { parseSnapshot } from './snapshot';
import { sourceRows } from './source-rows';
import type { TablePaths } from './tables';

/**
 * Column and truth of one target, in scaled units; `null` when the row does not exist. What waits for the column in the
 * outbox is part of `column`: draining moves it from there to here in one transaction.
 */
export type Counted = ReadonlyMap<string, { readonly column: bigint; readonly truth: bigint }> | null;

/** What targets of one kind hold and should hold, in one snapshot. */
export interface Counts {
  readonly snapshot: Snapshot;
  /** In the order of the targets asked for. */
  readonly counted: readonly Counted[];
  /** Targets with something in the outbox that the database has refused. */
  readonly refused: readonly string[];
}

/**
 * Counts the sources of targets of one kind, and reads their columns, in one snapshot: one statement where the
 * declarations allow it, otherwise one repeatable-read transaction.
 */
export async function recount(
  dataSource: DataSource,
  tables: TablePaths,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
): Promise<Counts> {
  if (columns.every((column) => column.counters.every((counter) => counter.sql))) {
    return withConnection(dataSource, (runner) => recountBySql(runner, tables, kind, columns, targets));
  }
  return withTransaction(dataSource, 'REPEATABLE READ', async (runner, manager) => {
    const counts = await recountBySql(runner, tables, kind, columns, targets);
    return { ...counts, counted: await addOthers(manager, kind, columns, targets, counts.counted) };
  });
}

async function recountBySql(
  runner: QueryRunner,
  tables: TablePaths,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
): Promise<Counts> {
  const parts = columns.flatMap((column) => feeds(column, kind).filter(({ counter }) => counter.sql));
  const parameters: unknown[] = keyArrays(kind, targets);
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const joins = parts.map((part, i) => sourceJoin(part, i, bind));
  const target = `(${bind(targets)}::text[])[k.ordinal::integer]`;
  const selected = [
    `(t.${escapeName(kind.keys[0]?.name ?? '')} IS NOT NULL) AS present`,
    'pg_current_snapshot()::text AS snapshot',
    ...columns.map(({ name }, i) => `COALESCE(t.${escapeName(name)}, 0)::text AS c${i}`),
    ...columns.map(({ name }, i) => `${waitingSum(tables, target, bind(name))}::text AS o${i}`),
    `${isRefused(tables, target)} AS refused`,
    ...parts.map((_, i) => `COALESCE(s${i}.n, 0)::text AS n${i}`),
  ];
  const rows = await rowsOf(
    runner,
    `SELECT ${selected.join(', ')} FROM ${listedKeys(kind.keys.length)}
     LEFT JOIN ${escapePath(kind.tablePath)} t ON ${matchesListed('t', kind.keys)} ${joins.join(' ')} ORDER BY k.ordinal`,
    parameters,
  );
  return {
    snapshot: parseSnapshot(String(rows[0]?.['snapshot'])),
    counted: rows.map((row) => countedOf(row, columns, parts)),
    refused: targets.filter((_, i) => rows[i]?.['refused'] === true),
  };
}

/** One counter's way to one column of one kind. */
interface Feed {
  readonly column: CounterColumn;
  readonly counter: Counter;
  readonly target: CounterTarget;
}

function feeds(column: CounterColumn, kind: TargetKind): Feed[] {
  return column.counters.flatMap((counter) =>
    counter.targets
      .filter((target) => target.kind === kind && [...target.columns.values()].includes(column))
      .map((target) => ({ column, counter, target })),
  );
}

/** Grouped sums of one counter's sources, joined to the keys. */
function sourceJoin({ counter, target }: Feed, index: number, bind: (value: unknown) => string): string {
  const { foreignKeys } = target;
  const { from, keys, conditions } = sourceRows(counter, target, bind);
  const n = counter.amount.from === 'column' ? `SUM(s.${escapeName(counter.amount.column)})` : 'COUNT(*)';
  const wanted = amongKeys(
    keys,
    foreignKeys.map(({ sqlType }) => sqlType),
  );
  const on = foreignKeys.map((key, i) => `s${index}.f${i} = k.k${i}::${key.sqlType}`).join(' AND ');
  return `LEFT JOIN (SELECT ${keys.map((key, i) => `${key} AS f${i}`).join(', ')}, ${n} AS n FROM ${from}
    WHERE ${[wanted, ...conditions].join(' AND ')} GROUP BY ${keys.map((_, i) => i + 1).join(', ')}) s${index} ON ${on}`;
}

function countedOf(row: ResultRow, columns: readonly CounterColumn[], parts: readonly Feed[]): Counted {
  if (row['present'] !== true) return null;
  return new Map(
    columns.map((column, i) => {
      const truth = parts.reduce(
        (sum, part, at) => (part.column === column ? sum + amountOf(part, String(row[`n${at}`])) : sum),
        0n,
      );
      const held = parseDecimal(String(row[`c${i}`]), column.scale) + BigInt(String(row[`o${i}`]));
      return [column.name, { column: held, truth }];
    }),
  );
}

function amountOf({ column, counter }: Feed, n: string): bigint {
  if (counter.amount.from === 'constant')
    return BigInt(n) * scaleAmount(counter.amount.value, column.scale, { label: counter.label, from: 'incrementBy' });
  return parseDecimal(n, column.scale);
}

async function addOthers(
  manager: EntityManager,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
  counted: readonly Counted[],
): Promise<Counted[]> {
  const present = new Set(targets.filter((_, i) => counted[i] !== null));
  const counters = new Set(columns.flatMap((column) => column.counters.filter((counter) => !counter.sql)));
  const extra = new Map<string, bigint>();
  const add = (target: string, column: CounterColumn, amount: bigint) => {
    const key = `${target}/${column.name}`;
    extra.set(key, (extra.get(key) ?? 0n) + amount);
  };
  for (const counter of counters) {
    const count = counter.method === null ? recountBySources : recountByMethod;
    await count(manager, counter, kind, present, add);
  }
  return counted.map((columnsOf, i) => columnsOf && withExtra(columnsOf, targets[i] ?? '', extra));
}

function withExtra(counted: NonNullable<Counted>, target: string, extra: ReadonlyMap<string, bigint>): Counted {
  return new Map(
    [...counted].map(([name, { column, truth }]) => [
      name,
      { column, truth: truth + (extra.get(`${target}/${name}`) ?? 0n) },
    ]),
  );
}
