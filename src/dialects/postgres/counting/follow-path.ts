import type { QueryRunner } from 'typeorm';

import type { PathStep } from '../../../model/definition';
import { keyText } from '../../../model/target';
import { listedKeys } from '../keys';
import { pathJoins, targetKeySql, unfoundSql } from './path-joins';
import { rowsOf } from '../query';
import { concernsSql, type Hidden, hiddenTables } from '../sight';
import { tableSql } from '../table-names';

/** Key values as text; `null` for NULL. */
export type KeyTexts = readonly (string | null)[];

/** Where keys of a path's first row lead. */
export interface Followed {
  /** Keys of the target, in the order of the keys given; `null` where a row is missing or leads nowhere. */
  readonly ends: readonly (KeyTexts | null)[];
  /** What was seen is the transaction's snapshot, which may be out of date by now. */
  readonly isDated: boolean;
  /** Policies may have hidden a row that a path leads through; `null` as a rule. */
  readonly hidden: Hidden | null;
}

/** Isolation levels (the second is the first, on PostgreSQL) under which each statement sees what is committed. */
const CURRENT = new Set(['read committed', 'read uncommitted']);

/** Follows the rows of a path, as the runner's transaction and its role see them. Takes no lock. */
export async function followPath(
  runner: QueryRunner,
  steps: readonly PathStep[],
  keys: readonly KeyTexts[],
): Promise<Followed> {
  const entry = (steps[0]?.keys ?? []).map(({ sqlType }, i) => ({ sql: `k.k${i}::${sqlType}`, sqlType }));
  const parameters: unknown[] = entry.map((_, i) => keys.map((key) => key[i] ?? null));
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  const joins = pathJoins('LEFT JOIN', steps, entry, bind);
  const tables = [...new Set(steps.map(({ metadata }) => tableSql(metadata)))];
  const selected = [
    "current_setting('transaction_isolation') AS isolation",
    `${concernsSql(tables)} AS concerned`,
    ...targetKeySql(steps).map((sql, i) => `${sql} AS f${i}`),
  ];
  const from = `FROM ${listedKeys(entry.length)} ${joins}`;
  const rows = await rowsOf(runner, `SELECT ${selected.join(', ')} ${from} ORDER BY k.ordinal`, parameters);
  const { foreignKeys = [] } = steps.at(-1) ?? {};
  const ends = rows.map((row) => endOf(foreignKeys.map(({ sqlType }, i) => keyText(row[`f${i}`], sqlType))));
  // Looked at only where it matters: most paths lead somewhere, and policies concern few.
  const isOpen = rows[0]?.['concerned'] === true && ends.includes(null);
  return {
    ends,
    isDated: !CURRENT.has(String(rows[0]?.['isolation'])),
    hidden: isOpen ? await hiddenAmong(runner, tables, { steps, entry, from, parameters }) : null,
  };
}

/** A path as the rows that were looked for. */
interface Sought {
  readonly steps: readonly PathStep[];
  readonly entry: Parameters<typeof unfoundSql>[1];
  readonly from: string;
  readonly parameters: readonly unknown[];
}

/** Those tables of which policies may have hidden a row that some path leads through. */
async function hiddenAmong(runner: QueryRunner, tables: readonly string[], sought: Sought): Promise<Hidden | null> {
  const hidden = await hiddenTables(runner, tables);
  const suspected = sought.steps.flatMap(({ metadata }, i) => (hidden.tables.includes(tableSql(metadata)) ? [i] : []));
  if (suspected.length === 0) return null;
  const unfound = suspected.map((i) => `bool_or(${unfoundSql(sought.steps, sought.entry, i)}) AS u${i}`);
  const [row] = await rowsOf(runner, `SELECT ${unfound.join(', ')} ${sought.from}`, sought.parameters);
  const found = suspected.filter((i) => row?.[`u${i}`] === true);
  if (found.length === 0) return null;
  return {
    ...hidden,
    tables: sought.steps.filter((_, i) => found.includes(i)).map(({ metadata }) => tableSql(metadata)),
  };
}

function endOf(key: KeyTexts): KeyTexts | null {
  return key.includes(null) ? null : key;
}
