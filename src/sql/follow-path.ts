import type { QueryRunner } from 'typeorm';

import type { PathStep } from '../counter/definition';
import { keyText } from '../counter/target';
import { listedKeys } from './keys';
import { pathJoins, targetKeySql } from './path-joins';
import { rowsOf } from './query';

/** Key values as text; `null` for NULL. */
export type KeyTexts = readonly (string | null)[];

/** Where keys of a path's first row lead. */
export interface Followed {
  /** Keys of the target, in the order of the keys given; `null` where a row is missing or leads nowhere. */
  readonly ends: readonly (KeyTexts | null)[];
  /** What was seen is the transaction's snapshot, which may be out of date by now. */
  readonly isDated: boolean;
}

/** Isolation levels (the second is the first, on PostgreSQL) under which each statement sees what is committed. */
const CURRENT = new Set(['read committed', 'read uncommitted']);

/** Follows the rows of a path, as the runner's transaction sees them. Takes no lock. */
export async function followPath(
  runner: QueryRunner,
  steps: readonly PathStep[],
  keys: readonly KeyTexts[],
): Promise<Followed> {
  const entry = (steps[0]?.keys ?? []).map(({ sqlType }, i) => ({ sql: `k.k${i}::${sqlType}`, sqlType }));
  const parameters: unknown[] = entry.map((_, i) => keys.map((key) => key[i] ?? null));
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  const joins = pathJoins('LEFT JOIN', steps, entry, bind);
  const ends = targetKeySql(steps).map((sql, i) => `${sql} AS f${i}`);
  const rows = await rowsOf(
    runner,
    `SELECT ${["current_setting('transaction_isolation') AS isolation", ...ends].join(', ')}
     FROM ${listedKeys(entry.length)}
     ${joins} ORDER BY k.ordinal`,
    parameters,
  );
  const { foreignKeys = [] } = steps.at(-1) ?? {};
  return {
    ends: rows.map((row) => endOf(foreignKeys.map(({ sqlType }, i) => keyText(row[`f${i}`], sqlType)))),
    isDated: !CURRENT.has(String(rows[0]?.['isolation'])),
  };
}

function endOf(key: KeyTexts): KeyTexts | null {
  return key.includes(null) ? null : key;
}
