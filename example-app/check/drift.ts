import type { Client } from 'pg';

import { type CheckedCounter, COUNTERS, tableOf } from './counters';

/** A counter compared with the truth. */
export interface CheckResult {
  readonly counter: CheckedCounter;
  /** Parent rows compared. */
  readonly rows: number;
  /** Rows that are wrong. */
  readonly wrong: number;
  /** Sum of the absolute differences, as text. */
  readonly drift: string;
}

/** Compares every counter column with a COUNT or SUM over its sources, without the library. */
export async function checkDrift(database: Client): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const counter of COUNTERS) {
    const { rows } = await database.query<{ rows: string; wrong: string; drift: string }>(
      `SELECT COUNT(*) AS rows, COUNT(*) FILTER (WHERE difference <> 0) AS wrong, COALESCE(SUM(ABS(difference)), 0) AS drift
         FROM (SELECT p."${counter.column}" - COALESCE(t.n, 0) AS difference
                 FROM ${tableOf(counter)} p LEFT JOIN (${counter.truth}) t ON t.id = p.id) AS compared`,
    );
    const [figures] = rows;
    if (figures === undefined) throw new Error('an aggregate gives one row');
    results.push({ counter, rows: Number(figures.rows), wrong: Number(figures.wrong), drift: figures.drift });
  }
  return results;
}
