import type { QueryRunner } from 'typeorm';

import type { Snapshot } from '../../../model/pending';
import { checkInt64, parseDecimal, scaleAmount } from '../../../model/amount';
import type { Counter, CounterColumn, TargetTable } from '../../../model/definition';
import { sourceEntitiesOf } from '../../../model/fingerprint';
import { AmountError } from '../../../errors';
import { escapeName } from '../escape';
import { keyArrays, listedTargets, matchesListed } from '../keys';
import type { ResultRow } from '../query';
import { rowsSeen } from '../sight';
import { parseSnapshot } from '../snapshot';
import { type Feed, readTogether, sourceJoin } from './source-rows';
import { tableSql } from '../table-names';
import type { TablePaths } from '../installation/tables';
import type { Tally } from './tally';
import { reasonOf } from '../apply/divide';

/**
 * Column and truth of one target, in scaled units; `null` when the row does not exist. A column that cannot be recounted is
 * left out. What waits for the column in the outbox is part of `column`: draining moves it from there to here in one
 * transaction.
 */
export type Counted = ReadonlyMap<string, { readonly column: bigint; truth: bigint }> | null;

/** What targets of one table hold and should hold, in one snapshot. */
export interface Counts {
  readonly snapshot: Snapshot;
  /** In the order of the targets asked for. */
  readonly counted: readonly Counted[];
  /** Targets with something in the outbox. */
  readonly waiting: ReadonlySet<string>;
  /** Those of them for which the database has refused it. */
  readonly refused: readonly string[];
  readonly uncountable: Uncountables;
}

/** What is recounted: some columns of some targets of one table. */
export interface RecountScope {
  readonly tables: TablePaths;
  readonly targetTable: TargetTable;
  readonly columns: readonly CounterColumn[];
  readonly targets: readonly string[];
}

/**
 * Counts what can be counted in SQL, and reads the columns and the outbox, in one statement.
 *
 * @throws NotPermittedError when policies may have hidden rows of the targets, or any that count
 */
export async function recountBySql(runner: QueryRunner, scope: RecountScope): Promise<Counts> {
  const { targetTable, columns, targets } = scope;
  const readings = readTogether(columns.flatMap((column) => feedsOf(column, targetTable)));
  const parameters: unknown[] = [...keyArrays(targetTable, targets), targets];
  const sql = recountSql(scope, readings, parameters);
  const rows = await rowsSeen(runner, tablesOf(scope), (sight) => [sql(sight), parameters]);
  const uncountable = new Uncountables();
  return {
    snapshot: parseSnapshot(rows[0] === undefined ? NOTHING_SEEN : String(rows[0]['snapshot'])),
    counted: rows.map((row, i) => {
      const target = targets[i] ?? '';
      return row['present'] === true ? countedOf(row, columns, readings, { target, uncountable }) : null;
    }),
    waiting: new Set(targets.filter((_, i) => rows[i]?.['waiting'] === true)),
    refused: targets.filter((_, i) => rows[i]?.['refused'] === true),
    uncountable,
  };
}

/** The snapshot of a recount of no target. */
const NOTHING_SEEN = '0:0:';

/** The keys and ids of the targets are parameters already; what else is bound is pushed behind. The function that is returned takes what else to select. */
function recountSql(
  { tables, targetTable, columns }: RecountScope,
  readings: readonly (readonly Feed[])[],
  parameters: unknown[],
): (sight: string) => string {
  const ids = `$${parameters.length}`;
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const joins = readings.map((feeds, i) => sourceJoin(feeds, i, bind));
  const names = columns.map(({ name }) => bind(name));
  const waiting = waitingJoin(tables, ids, names);
  const selected = [
    `(t.${escapeName(targetTable.keys[0]?.name ?? '')} IS NOT NULL) AS present`,
    'pg_current_snapshot()::text AS snapshot',
    ...columns.map(({ name }, i) => `COALESCE(t.${escapeName(name)}, 0)::text AS c${i}`),
    ...columns.map((_, i) => `COALESCE(w.o${i}, 0)::text AS o${i}`),
    '(w."target" IS NOT NULL) AS waiting, w.refused',
    ...readings.flatMap((feeds, i) => feeds.map((_, at) => `COALESCE(s${i}.n${at}, 0)::text AS s${i}n${at}`)),
  ];
  return (sight) => `SELECT ${[...selected, sight].join(', ')} FROM ${listedTargets(targetTable.keys.length)}
     LEFT JOIN ${tableSql(targetTable.metadata)} t ON ${matchesListed('t', targetTable.keys)} ${waiting} ${joins.join(' ')} ORDER BY k.ordinal`;
}

/** All tables whose rows decide what the columns should hold, or what they hold. */
export function tablesOf({ tables, targetTable, columns }: RecountScope): readonly string[] {
  const entities = [targetTable.metadata, ...columns.flatMap(sourceEntitiesOf)];
  return [...new Set([...entities.map(tableSql), tables.outbox])];
}

function feedsOf(column: CounterColumn, targetTable: TargetTable): Feed[] {
  return column.counters
    .filter(({ sql }) => sql)
    .flatMap((counter) =>
      counter.targets
        .filter((target) => target.targetTable === targetTable && [...target.columns.values()].includes(column))
        .map((target) => ({ column, counter, target })),
    );
}

interface Noting {
  readonly target: string;
  readonly uncountable: Uncountables;
}

function countedOf(
  row: ResultRow,
  columns: readonly CounterColumn[],
  readings: readonly (readonly Feed[])[],
  { target, uncountable }: Noting,
): Counted {
  const truths = new Map<CounterColumn, bigint>();
  for (const [i, feeds] of readings.entries()) {
    for (const [at, feed] of feeds.entries()) {
      const note = (error: unknown) => uncountable.add(target, feed.counter, [feed.column], error);
      const amount = orNote(() => amountOf(feed, String(row[`s${i}n${at}`])), note);
      truths.set(feed.column, (truths.get(feed.column) ?? 0n) + amount);
    }
  }
  const counted = columns.map((column, i) => {
    const note = (error: unknown) => uncountable.addColumn(target, column, error);
    const place = { label: `${column.targetTable.metadata.name}.${column.property}`, from: 'the column' };
    const held = orNote(() => parseDecimal(String(row[`c${i}`]), column.scale, place), note);
    return [column, { column: held + BigInt(String(row[`o${i}`])), truth: truths.get(column) ?? 0n }] as const;
  });
  return new Map(counted.map(([{ name }, values]) => [name, values]));
}

/** What cannot be held exactly is noted, and 0 takes its place. */
function orNote(amount: () => bigint, note: (error: unknown) => void): bigint {
  try {
    return amount();
  } catch (error) {
    if (!(error instanceof AmountError)) throw error;
    note(error);
    return 0n;
  }
}

function amountOf({ column, counter }: Feed, n: string): bigint {
  const { label, amount } = counter;
  const place = { label, from: 'the sum of its sources' };
  if (amount.from !== 'constant') return parseDecimal(n, column.scale, place);
  return checkInt64(BigInt(n) * scaleAmount(amount.value, column.scale, { label, from: 'incrementBy' }), n, place);
}

/** Adds to what SQL has counted. */
export function tallyOf({ counted, uncountable }: Counts, targets: readonly string[], counter: Counter): Tally {
  const byTarget = new Map(targets.map((target, i) => [target, counted[i] ?? null]));
  return {
    add(target, { name }, amount) {
      const values = byTarget.get(target)?.get(name);
      if (values !== undefined) values.truth += amount;
    },
    fail: (target, columns, error) => uncountable.add(target, counter, columns, error),
  };
}

/** Why a counter could not be recounted for a target. */
export interface Uncountable {
  /** Name of the counter; of several that feed one column and cannot be told apart, all of them. `null`: not of a counter. */
  readonly counter: string | null;
  readonly reason: string;
}

/** What could not be recounted, by target. */
export class Uncountables {
  readonly #reasons = new Map<string, Map<string | null, string>>();
  readonly #columns = new Map<string, Set<string>>();

  get isEmpty(): boolean {
    return this.#reasons.size === 0;
  }

  /** A counter fails for a target: none of these columns can be recounted. */
  add(target: string, counter: Counter, columns: Iterable<CounterColumn>, error: unknown): void {
    this.#add(target, counter.name, columns, error);
  }

  /** A column of a target cannot be recounted, and which of its counters is to blame is not known. */
  addColumn(target: string, column: CounterColumn, error: unknown): void {
    this.#add(target, column.counters.map(({ name }) => name).join(', '), [column], error);
  }

  /** Nothing of a target can be recounted. */
  addTarget(target: string, columns: Iterable<CounterColumn>, error: unknown): void {
    this.#add(target, null, columns, error);
  }

  /** Everything that others name. */
  addAll(others: Uncountables): void {
    for (const [target, reasons] of others.#reasons) {
      const columns = [...(others.#columns.get(target) ?? [])].map((name) => ({ name }));
      for (const [counter, reason] of reasons) this.#add(target, counter, columns, reason);
    }
  }

  has(target: string, column: CounterColumn): boolean {
    return this.#columns.get(target)?.has(column.name) === true;
  }

  /** Empty for a target of which everything was recounted. */
  of(target: string): readonly Uncountable[] {
    return [...(this.#reasons.get(target) ?? [])].map(([counter, reason]) => ({ counter, reason }));
  }

  #add(target: string, counter: string | null, columns: Iterable<Pick<CounterColumn, 'name'>>, error: unknown): void {
    const reasons = this.#reasons.get(target) ?? new Map<string | null, string>();
    const names = this.#columns.get(target) ?? new Set<string>();
    this.#reasons.set(target, reasons);
    this.#columns.set(target, names);
    // The first row that cannot be counted is enough to look for.
    if (!reasons.has(counter)) reasons.set(counter, reasonOf(error));
    for (const { name } of columns) names.add(name);
  }
}

/**
 * Joins what waits in the outbox, refused or not, to rows `k(target)`, as `w(target, o0, o1, …, refused)`: a sum per
 * column, and whether the database has refused something; nothing where nothing waits. Both parameters are expressions
 * in SQL. It is looked up once for all targets, not for each.
 */
export function waitingJoin({ outbox }: TablePaths, targets: string, columns: readonly string[]): string {
  const sums = columns.map((column, i) => `SUM(x."amount") FILTER (WHERE x."column" = ${column}) AS o${i}`);
  return `LEFT JOIN (SELECT x."target", ${[...sums, 'bool_or(x."failed" IS NOT NULL) AS refused'].join(', ')} FROM ${outbox} x
    WHERE x."target" = ANY(${targets}::text[]) AND x."applied_at" IS NULL GROUP BY 1) w ON w."target" = k.target`;
}
