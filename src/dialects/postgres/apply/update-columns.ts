import type { QueryRunner } from 'typeorm';

import type { BatchEntry } from '../../../model/pending';
import { formatDecimal, parseDecimal } from '../../../model/amount';
import type { CounterColumn, TargetTable, TouchColumn } from '../../../model/definition';
import { AmountError } from '../../../errors';
import { escapeName } from '../escape';
import { keyArrays } from '../keys';
import { type ResultRow, rowsOf } from '../query';
import type { Hidden } from '../sight';
import { tableSql } from '../table-names';
import { explainUnseen, type Unchanged } from '../counting/unseen-rows';

/** Of a row whose lock was had. */
const PASSED_OVER =
  'the database passed over its UPDATE, without an error: a BEFORE UPDATE trigger returns NULL, or a rule does something else. Have it let the counter columns pass, then call retryFailed';

/** A column's value before and after it was reconciled, in units of the column (not scaled), as text. */
export interface Change {
  readonly target: string;
  readonly column: CounterColumn;
  readonly before: string;
  readonly after: string;
}

/** How the rows of one UPDATE ended; those in none of the lists do not exist. */
export interface Updated {
  /** Empty unless they were asked for. */
  readonly changes: readonly Change[];
  /** Exists, but another transaction holds its lock. */
  readonly locked: readonly string[];
  /** Exists, and was not changed, though nothing holds its lock. */
  readonly unchanged: readonly Unchanged[];
  /** Neither changed nor seen, and not known to be gone: policies may hide rows. */
  readonly hidden: readonly string[];
  /** Why. */
  readonly hiddenBy: Hidden | null;
}

/**
 * Adds the entries' amounts to the counter columns of one target table: one UPDATE of all columns for all rows, in key
 * order (so that two workers cannot deadlock), skipping locked rows. Only the counter and touch
 * columns change (I7). `withChanges`: the values before and after are returned.
 */
export async function updateColumns(
  runner: QueryRunner,
  targetTable: TargetTable,
  entries: readonly BatchEntry[],
  withChanges: boolean,
): Promise<Updated> {
  const statement = new UpdateStatement(targetTable, entries);
  const sql = withChanges ? statement.changesSql() : statement.missingSql();
  const changes: Change[] = [];
  const unseen: string[] = [];
  const passedOver: string[] = [];
  for (const row of await rowsOf(runner, sql, statement.parameters)) {
    const ordinals = ordinalsOf(row);
    const targets = ordinals.flatMap((ordinal) => entries[ordinal - 1]?.target ?? []);
    if (row['changed'] === true) changes.push(...statement.changesOf(row, ordinals));
    else if (row['held'] === true) passedOver.push(...targets);
    else unseen.push(...targets);
  }
  const unchanged = passedOver.map((target) => ({ target, reason: PASSED_OVER }));
  const found = await explainUnseen(runner, targetTable, unseen);
  return { changes, ...found, unchanged: [...unchanged, ...found.unchanged] };
}

/**
 * Sends the UPDATE of these entries for no row at all: fails where the table, a column or a privilege is what is missing,
 * or where a trigger of the whole statement refuses it.
 */
export async function probeUpdate(
  runner: QueryRunner,
  targetTable: TargetTable,
  entries: readonly BatchEntry[],
): Promise<void> {
  const statement = new UpdateStatement(targetTable, entries);
  await runner.query(
    statement.missingSql(),
    statement.parameters.map(() => []),
  );
}

function ordinalsOf(row: ResultRow): number[] {
  return (row['ordinals'] as readonly (number | string)[]).map(Number);
}

class UpdateStatement {
  readonly parameters: unknown[];
  readonly #targetTable: TargetTable;
  readonly #entries: readonly BatchEntry[];
  readonly #columns: readonly CounterColumn[];
  readonly #touches: readonly TouchColumn[];

  constructor(targetTable: TargetTable, entries: readonly BatchEntry[]) {
    this.#targetTable = targetTable;
    this.#entries = entries;
    this.#columns = [...targetTable.columns.values()].filter(({ name }) =>
      entries.some((entry) => entry.amounts.has(name)),
    );
    this.#touches = [...targetTable.touches.values()].filter(({ name }) =>
      entries.some((entry) => entry.touches.has(name)),
    );
    this.parameters = [
      ...keyArrays(targetTable, targetsOf(entries)),
      ...this.#columns.map(({ name, scale }) =>
        entries.map((entry) => formatDecimal(entry.amounts.get(name) ?? 0n, scale)),
      ),
      ...this.#touches.map(({ name }) => entries.map((entry) => entry.touches.get(name) ?? null)),
    ];
  }

  /**
   * Returns what {@link missingSql} does, and a row per row that was changed: the ordinals (from 1) of its entries, and the
   * columns' new values.
   */
  changesSql(): string {
    const names = this.#columns.map((_, i) => `c${i}`);
    const values = this.#columns.map(({ name }, i) => `t.${escapeName(name)}::text AS c${i}`);
    const changed = ['true AS changed', 'd.ordinals', 'true AS held', ...names.map((name) => `d.${name}`)];
    return `${this.#locked()}, d AS (${this.#update()} RETURNING ${['l.ordinal', 'l.ordinals', ...values].join(', ')})
      SELECT ${changed.join(', ')} FROM d UNION ALL ${missing(names.map(() => 'NULL::text'))}`;
  }

  /**
   * Returns the ordinals (from 1) of the entries whose row was not changed, and whether its lock was had: nothing, as a
   * rule.
   */
  missingSql(): string {
    return `${this.#locked()}, d AS (${this.#update()} RETURNING l.ordinal) ${missing([])}`;
  }

  /** The entries `i`, and those `l` whose row is locked now. */
  #locked(): string {
    const { keys } = this.#targetTable;
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
    return tableSql(this.#targetTable.metadata);
  }

  #matches(list: 'i' | 'l'): string {
    return this.#targetTable.keys.map((key, i) => `t.${escapeName(key.name)} = ${list}.k${i}`).join(' AND ');
  }

  changesOf(row: Readonly<Record<string, unknown>>, ordinals: readonly number[]): Change[] {
    const entries = ordinals.map((ordinal) => this.#entries[ordinal - 1]).filter((entry) => entry !== undefined);
    const [first] = entries;
    if (first === undefined) return [];
    return this.#columns.flatMap((column, i) => {
      const amount = entries.reduce((sum, entry) => sum + (entry.amounts.get(column.name) ?? 0n), 0n);
      if (amount === 0n) return [];
      const after = readAmount(String(row[`c${i}`]), column.scale);
      if (after === null) return [];
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

/** NOT IN, since it is always answered by hashing; the planner takes both sides for a handful of rows. */
function missing(others: readonly string[]): string {
  const held = 'i.ordinal IN (SELECT l.ordinal FROM l) AS held';
  const selected = ['false AS changed', 'i.ordinals', held, ...others];
  return `SELECT ${selected.join(', ')} FROM i WHERE i.ordinal NOT IN (SELECT d.ordinal FROM d)`;
}

/** `null` for what is no amount, as NaN; a recount names it. */
function readAmount(text: string, scale: number): bigint | null {
  try {
    return parseDecimal(text, scale);
  } catch (error) {
    if (error instanceof AmountError) return null;
    throw error;
  }
}

function targetsOf(entries: readonly BatchEntry[]): string[] {
  return entries.map(({ target }) => target);
}
