import type { QueryRunner } from 'typeorm';

import type { Snapshot } from '../buffer/buffer';
import { parseDecimal, scaleAmount } from '../counter/amount';
import type { CounterColumn, TargetKind } from '../counter/definition';
import { sourceEntitiesOf } from '../counter/fingerprint';
import { escapeName } from './escape';
import { keyArrays, listedTargets, matchesListed } from './keys';
import { waitingJoin } from './outbox/waiting-join';
import type { ResultRow } from './query';
import { rowsSeen } from './sight';
import { parseSnapshot } from './snapshot';
import { type Feed, readTogether, sourceJoin } from './source-join';
import { tableSql } from './table-names';
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
  /** Targets with something in the outbox. */
  readonly waiting: ReadonlySet<string>;
  /** Those of them for which the database has refused it. */
  readonly refused: readonly string[];
}

/**
 * Counts what can be counted in SQL, and reads the columns and the outbox, in one statement.
 *
 * @throws NotPermittedError when policies may have hidden rows of the targets, or any that count
 */
export async function recountBySql(
  runner: QueryRunner,
  tables: TablePaths,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
): Promise<Counts> {
  const readings = readTogether(columns.flatMap((column) => feedsOf(column, kind)));
  const parameters: unknown[] = [...keyArrays(kind, targets), targets];
  const ids = `$${parameters.length}`;
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const joins = readings.map((feeds, i) => sourceJoin(feeds, i, bind));
  const waiting = waitingJoin(
    tables,
    ids,
    columns.map(({ name }) => bind(name)),
  );
  const selected = [
    `(t.${escapeName(kind.keys[0]?.name ?? '')} IS NOT NULL) AS present`,
    'pg_current_snapshot()::text AS snapshot',
    ...columns.map(({ name }, i) => `COALESCE(t.${escapeName(name)}, 0)::text AS c${i}`),
    ...columns.map((_, i) => `COALESCE(w.o${i}, 0)::text AS o${i}`),
    '(w."target" IS NOT NULL) AS waiting, w.refused',
    ...readings.flatMap((feeds, i) => feeds.map((_, at) => `COALESCE(s${i}.n${at}, 0)::text AS s${i}n${at}`)),
  ];
  const rows = await rowsSeen(runner, tablesOf(tables, kind, columns), (sight) => [
    `SELECT ${[...selected, sight].join(', ')} FROM ${listedTargets(kind.keys.length)}
     LEFT JOIN ${tableSql(kind.metadata)} t ON ${matchesListed('t', kind.keys)} ${waiting} ${joins.join(' ')} ORDER BY k.ordinal`,
    parameters,
  ]);
  return {
    snapshot: parseSnapshot(String(rows[0]?.['snapshot'])),
    counted: rows.map((row) => countedOf(row, columns, readings)),
    waiting: new Set(targets.filter((_, i) => rows[i]?.['waiting'] === true)),
    refused: targets.filter((_, i) => rows[i]?.['refused'] === true),
  };
}

/** All tables whose rows decide what the columns should hold, or what they hold. */
export function tablesOf(
  { outbox }: Pick<TablePaths, 'outbox'>,
  kind: TargetKind,
  columns: readonly CounterColumn[],
): readonly string[] {
  const entities = [kind.metadata, ...columns.flatMap(sourceEntitiesOf)];
  return [...new Set([...entities.map(tableSql), outbox])];
}

function feedsOf(column: CounterColumn, kind: TargetKind): Feed[] {
  return column.counters
    .filter(({ sql }) => sql)
    .flatMap((counter) =>
      counter.targets
        .filter((target) => target.kind === kind && [...target.columns.values()].includes(column))
        .map((target) => ({ column, counter, target })),
    );
}

function countedOf(row: ResultRow, columns: readonly CounterColumn[], readings: readonly (readonly Feed[])[]): Counted {
  if (row['present'] !== true) return null;
  const truths = new Map<CounterColumn, bigint>();
  for (const [i, feeds] of readings.entries()) {
    for (const [at, feed] of feeds.entries()) {
      const amount = amountOf(feed, String(row[`s${i}n${at}`]));
      truths.set(feed.column, (truths.get(feed.column) ?? 0n) + amount);
    }
  }
  return new Map(
    columns.map((column, i) => {
      const held = parseDecimal(String(row[`c${i}`]), column.scale) + BigInt(String(row[`o${i}`]));
      return [column.name, { column: held, truth: truths.get(column) ?? 0n }];
    }),
  );
}

function amountOf({ column, counter }: Feed, n: string): bigint {
  if (counter.amount.from === 'constant')
    return BigInt(n) * scaleAmount(counter.amount.value, column.scale, { label: counter.label, from: 'incrementBy' });
  return parseDecimal(n, column.scale);
}
