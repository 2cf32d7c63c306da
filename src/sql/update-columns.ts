import type { QueryRunner } from 'typeorm';

import type { BatchEntry } from '../buffer/buffer';
import { formatDecimal, parseDecimal } from '../counter/amount';
import type { CounterColumn, TargetKind, TouchColumn } from '../counter/definition';
import { escapeName, escapePath } from './escape';
import { keyArrays, listedKeys, matchesListed } from './keys';
import { rowsOf } from './query';

/** A column's value before and after it was reconciled, in units of the column (not scaled), as text. */
export interface Change {
  readonly target: string;
  readonly column: CounterColumn;
  readonly before: string;
  readonly after: string;
}

/** How the rows of one UPDATE ended; those in neither list do not exist. */
export interface Updated {
  readonly changes: readonly Change[];
  /** Exists, but somebody holds its lock. */
  readonly locked: readonly string[];
}

/**
 * Adds the entries' amounts to the counter columns of one target table: one UPDATE of all columns for all rows, in key
 * order (so that two workers cannot deadlock), skipping rows that somebody has locked. Only the counter and touch
 * columns change (I7).
 */
export async function updateColumns(
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
): Promise<Updated> {
  const statement = new UpdateStatement(kind, entries);
  const rows = await rowsOf(runner, statement.sql(), statement.parameters);
  const changes: Change[] = [];
  const done = new Set<number>();
  for (const row of rows) {
    const ordinals = (row['ordinals'] as readonly (number | string)[]).map(Number);
    for (const ordinal of ordinals) done.add(ordinal);
    changes.push(...statement.changesOf(row, ordinals));
  }
  if (done.size === entries.length) return { changes, locked: [] };
  const missing = entries.filter((_, i) => !done.has(i + 1));
  const present = await presentTargets(runner, kind, missing);
  return {
    changes,
    locked: missing.filter((_, i) => present.has(i + 1)).map(({ target }) => target),
  };
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

  sql(): string {
    const { keys } = this.#kind;
    const table = escapePath(this.#kind.tablePath);
    const keyNames = keys.map((_, i) => `k${i}`);
    const names = [...keyNames, ...this.#columns.map((_, i) => `d${i}`), ...this.#touches.map((_, i) => `t${i}`)];
    const arrays = names.map((name, i) => `$${i + 1}::${name.startsWith('t') ? 'double precision' : 'text'}[]`);
    const same = (left: string, right: string) => keyNames.map((k) => `${left}.${k} = ${right}.${k}`).join(' AND ');
    const matches = keys.map((key, i) => `t.${escapeName(key.name)} = i.k${i}`).join(' AND ');
    const order = keys.map((key) => `t.${escapeName(key.name)}`).join(', ');
    // Grouped by the typed key: two texts may name one row (`1` and `1.0`, as numeric), and an UPDATE joins a row only once.
    return `
      WITH i AS MATERIALIZED (
        SELECT ${[...keys.map((key, i) => `u.k${i}::${key.sqlType} AS k${i}`), ...this.#sums(), 'array_agg(u.ordinal) AS ordinals'].join(', ')}
        FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS u(${names.join(', ')}, ordinal)
        GROUP BY ${keys.map((_, i) => i + 1).join(', ')}
      ), l AS MATERIALIZED (
        SELECT ${keys.map((key, i) => `t.${escapeName(key.name)} AS k${i}`).join(', ')} FROM ${table} t JOIN i ON ${matches}
        ORDER BY ${order} FOR NO KEY UPDATE OF t SKIP LOCKED
      )
      UPDATE ${table} AS t SET ${this.#assignments()} FROM i JOIN l ON ${same('i', 'l')} WHERE ${matches}
      RETURNING ${['i.ordinals', ...this.#columns.map(({ name }, i) => `t.${escapeName(name)}::text AS c${i}`)].join(', ')}`;
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
        ({ name, sqlType }, i) => `${escapeName(name)} = COALESCE(t.${escapeName(name)}, 0) + i.d${i}::${sqlType}`,
      ),
      ...this.#touches.map(({ name }, i) => `${escapeName(name)} = GREATEST(t.${escapeName(name)}, i.t${i})`),
    ].join(', ');
  }
}

/** Ordinals (from 1) of the entries whose row exists, locked or not. */
async function presentTargets(
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
): Promise<ReadonlySet<number>> {
  const rows = await rowsOf(
    runner,
    `SELECT k.ordinal FROM ${listedKeys(kind.keys.length)} JOIN ${escapePath(kind.tablePath)} t ON ${matchesListed('t', kind.keys)}`,
    keyArrays(kind, targetsOf(entries)),
  );
  return new Set(rows.map((row) => Number(row['ordinal'])));
}

function targetsOf(entries: readonly BatchEntry[]): string[] {
  return entries.map(({ target }) => target);
}
