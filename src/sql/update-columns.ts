import type { QueryRunner } from 'typeorm';

import type { BatchEntry } from '../buffer/buffer';
import { formatDecimal, parseDecimal } from '../counter/amount';
import type { CounterColumn, TargetKind, TouchColumn } from '../counter/definition';
import { escapeName } from './escape';
import { keyArrays, listedKeys, matchesListed } from './keys';
import { type ResultRow, rowsOf } from './query';
import { type Hidden, hiddenTables } from './sight';
import { tableSql } from './table-names';

/** A column's value before and after it was reconciled, in units of the column (not scaled), as text. */
export interface Change {
  readonly target: string;
  readonly column: CounterColumn;
  readonly before: string;
  readonly after: string;
}

/** How the rows of one UPDATE ended; those in neither list do not exist. */
export interface Updated {
  /** Empty unless they were asked for. */
  readonly changes: readonly Change[];
  /** Exists, but somebody holds its lock. */
  readonly locked: readonly string[];
  /** Neither changed nor seen, and not known to be gone: policies may hide rows. */
  readonly hidden: readonly string[];
  /** Why. */
  readonly hiddenBy: Hidden | null;
}

/**
 * Adds the entries' amounts to the counter columns of one target table: one UPDATE of all columns for all rows, in key
 * order (so that two workers cannot deadlock), skipping rows that somebody has locked. Only the counter and touch
 * columns change (I7). `withChanges`: somebody wants to know the values.
 */
export async function updateColumns(
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
  withChanges: boolean,
): Promise<Updated> {
  const statement = new UpdateStatement(kind, entries);
  if (!withChanges) {
    const rows = await rowsOf(runner, statement.missingSql(), statement.parameters);
    const missing = rows.flatMap((row) => ordinalsOf(row).flatMap((ordinal) => entries[ordinal - 1] ?? []));
    return { changes: [], ...(await whyMissing(runner, kind, missing)) };
  }
  const changes: Change[] = [];
  const done = new Set<number>();
  for (const row of await rowsOf(runner, statement.changesSql(), statement.parameters)) {
    const ordinals = ordinalsOf(row);
    for (const ordinal of ordinals) done.add(ordinal);
    changes.push(...statement.changesOf(row, ordinals));
  }
  const missing = entries.filter((_, i) => !done.has(i + 1));
  return { changes, ...(await whyMissing(runner, kind, missing)) };
}

function ordinalsOf(row: ResultRow): number[] {
  return (row['ordinals'] as readonly (number | string)[]).map(Number);
}

class UpdateStatement {
  readonly parameters: unknown[];
  readonly #kind: TargetKind;
  readonly #entries: readonly BatchEntry[];
  readonly #columns: readonly CounterColumn[];
  readonly #touches: readonly TouchColumn[];

  constructor(kind: TargetKind, entries: readonly BatchEntry[]) {
    this.#kind = kind;
    this.#entries = entries;
    this.#columns = [...kind.columns.values()].filter(({ name }) => entries.some((entry) => entry.amounts.has(name)));
    this.#touches = [...kind.touches.values()].filter(({ name }) => entries.some((entry) => entry.touches.has(name)));
    this.parameters = [
      ...keyArrays(kind, targetsOf(entries)),
      ...this.#columns.map(({ name, scale }) =>
        entries.map((entry) => formatDecimal(entry.amounts.get(name) ?? 0n, scale)),
      ),
      ...this.#touches.map(({ name }) => entries.map((entry) => entry.touches.get(name) ?? null)),
    ];
  }

  /** Returns a row per row that was changed: the ordinals (from 1) of its entries, and the columns' new values. */
  changesSql(): string {
    const values = this.#columns.map(({ name }, i) => `t.${escapeName(name)}::text AS c${i}`);
    return `${this.#locked()} ${this.#update()} RETURNING ${['l.ordinals', ...values].join(', ')}`;
  }

  /** Returns the ordinals (from 1) of the entries whose row was not changed: nothing, as a rule. */
  missingSql(): string {
    // NOT IN, since it is always answered by hashing; the planner takes both sides for a handful of rows.
    return `${this.#locked()}, d AS (${this.#update()} RETURNING l.ordinal)
      SELECT i.ordinals FROM i WHERE i.ordinal NOT IN (SELECT d.ordinal FROM d)`;
  }

  /** The entries `i`, and those `l` whose row is locked now. */
  #locked(): string {
    const { keys } = this.#kind;
    const keyNames = keys.map((_, i) => `k${i}`);
    const names = [...keyNames, ...this.#columns.map((_, i) => `d${i}`), ...this.#touches.map((_, i) => `t${i}`)];
    // Behind a subquery the planner does not see how long the arrays are. It would plan for them alone, and read all of a
    // table of 100,000 rows to change 1,000; so it looks each row up, at any size.
    const arrays = names.map(
      (name, i) => `(SELECT $${i + 1}::${name.startsWith('t') ? 'double precision' : 'text'}[])`,
    );
    const typed = keys.map((key, i) => `u.k${i}::${key.sqlType} AS k${i}`);
    const positions = keys.map((_, i) => i + 1).join(', ');
    const order = keys.map((key) => `t.${escapeName(key.name)}`).join(', ');
    // Grouped by the typed key: two texts may name one row (`1` and `1.0`, as numeric), and an UPDATE joins a row only once.
    // Ordered, so that neighbours in the index are looked up one after the other.
    return `
      WITH i AS MATERIALIZED (
        SELECT ${[...typed, ...this.#sums(), 'array_agg(u.ordinal) AS ordinals', 'min(u.ordinal) AS ordinal'].join(', ')}
        FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS u(${names.join(', ')}, ordinal)
        GROUP BY ${positions} ORDER BY ${positions}
      ), l AS MATERIALIZED (
        SELECT i.* FROM i JOIN ${this.#table()} t ON ${this.#matches('i')}
        ORDER BY ${order} FOR NO KEY UPDATE OF t SKIP LOCKED
      )`;
  }

  #update(): string {
    return `UPDATE ${this.#table()} AS t SET ${this.#assignments()} FROM l WHERE ${this.#matches('l')}`;
  }

  #table(): string {
    return tableSql(this.#kind.metadata);
  }

  #matches(list: 'i' | 'l'): string {
    return this.#kind.keys.map((key, i) => `t.${escapeName(key.name)} = ${list}.k${i}`).join(' AND ');
  }

  changesOf(row: Readonly<Record<string, unknown>>, ordinals: readonly number[]): Change[] {
    const entries = ordinals.map((ordinal) => this.#entries[ordinal - 1]).filter((entry) => entry !== undefined);
    const [first] = entries;
    if (first === undefined) return [];
    return this.#columns.flatMap((column, i) => {
      const amount = entries.reduce((sum, entry) => sum + (entry.amounts.get(column.name) ?? 0n), 0n);
      if (amount === 0n) return [];
      const after = parseDecimal(String(row[`c${i}`]), column.scale);
      return [
        {
          target: first.target,
          column,
          before: formatDecimal(after - amount, column.scale),
          after: formatDecimal(after, column.scale),
        },
      ];
    });
  }

  #sums(): string[] {
    const type = (column: CounterColumn) => (column.scale === 0 ? 'bigint' : 'numeric');
    return [
      ...this.#columns.map((column, i) => `sum(u.d${i}::${type(column)}) AS d${i}`),
      ...this.#touches.map((touch, i) => `to_timestamp(max(u.t${i}) / 1000)::${touch.sqlType} AS t${i}`),
    ];
  }

  #assignments(): string {
    return [
      ...this.#columns.map(
        ({ name, sqlType }, i) => `${escapeName(name)} = COALESCE(t.${escapeName(name)}, 0) + l.d${i}::${sqlType}`,
      ),
      ...this.#touches.map(({ name }, i) => `${escapeName(name)} = GREATEST(t.${escapeName(name)}, l.t${i})`),
    ].join(', ');
  }
}

/** What became of targets that were not changed: a row that is not seen is gone only for those who see all rows. */
async function whyMissing(
  runner: QueryRunner,
  kind: TargetKind,
  missing: readonly BatchEntry[],
): Promise<Omit<Updated, 'changes'>> {
  const locked = await lockedTargets(runner, kind, missing);
  const unseen = missing.length - locked.length;
  const hiddenBy = unseen === 0 ? null : await hiddenTables(runner, [tableSql(kind.metadata)]);
  if (hiddenBy === null || hiddenBy.tables.length === 0) return { locked, hidden: [], hiddenBy: null };
  const present = new Set(locked);
  return { locked, hidden: targetsOf(missing).filter((target) => !present.has(target)), hiddenBy };
}

/** Those of the missing targets whose row exists: somebody has locked it. */
async function lockedTargets(
  runner: QueryRunner,
  kind: TargetKind,
  missing: readonly BatchEntry[],
): Promise<readonly string[]> {
  if (missing.length === 0) return [];
  const targets = targetsOf(missing);
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal FROM ${listedKeys(kind.keys.length)} JOIN ${tableSql(kind.metadata)} t ON ${matchesListed('t', kind.keys)}`,
    keyArrays(kind, targets),
  );
  const present = new Set(rows.map((row) => Number(row['ordinal'])));
  return targets.filter((_, i) => present.has(i + 1));
}

function targetsOf(entries: readonly BatchEntry[]): string[] {
  return entries.map(({ target }) => target);
}
