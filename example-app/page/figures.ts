import type { ObjectLiteral } from 'typeorm';
import type { CountersStatus, CounterValue } from 'typeorm-counter-cache';

import { type CheckedCounter, COUNTERS, labelOf, tableOf } from '../check/counters';
import type { Connection } from '../connect';

/** One parent row: what its column says, what is still pending, and what is true. */
export interface RowFigures {
  readonly id: number;
  readonly column: number;
  readonly pending: number;
  readonly truth: number;
}

/** One counter: its largest rows, and the sum over all. */
export interface CounterFigures {
  readonly label: string;
  readonly rows: readonly RowFigures[];
  readonly columnTotal: number;
  readonly truthTotal: number;
}

/** What the page shows. */
export interface Figures {
  readonly counters: readonly CounterFigures[];
  readonly status: CountersStatus;
}

const ROWS = 3;

/** Looks at every counter, one after the other: this shares its connections with the API. */
export async function takeFigures(connection: Connection): Promise<Figures> {
  const counters: CounterFigures[] = [];
  for (const counter of COUNTERS) counters.push(await takeCounter(connection, counter));
  return { counters, status: await connection.counters.status() };
}

async function takeCounter({ dataSource, counters }: Connection, counter: CheckedCounter): Promise<CounterFigures> {
  const totals = await dataSource.query<{ column: string; truth: string }[]>(
    `SELECT (SELECT COALESCE(SUM("${counter.column}"), 0) FROM ${tableOf(counter)}) AS column,
            (SELECT COALESCE(SUM(n), 0) FROM (${counter.truth}) t) AS truth`,
  );
  const rows = await dataSource.query<{ id: number; column: string; truth: string }[]>(
    `SELECT p.id, p."${counter.column}" AS column, COALESCE(t.n, 0) AS truth
       FROM (SELECT * FROM ${tableOf(counter)} ORDER BY "${counter.column}" DESC, id LIMIT ${ROWS}) p
       LEFT JOIN (${counter.truth}) t ON t.id = p.id ORDER BY 2 DESC, 1`,
  );
  // The column as if everything pending were applied.
  const ids = rows.map(({ id }) => id);
  const live = await counters.read<ObjectLiteral, string, number>(counter.target, ids, counter.column);
  return {
    label: labelOf(counter),
    rows: rows.map(({ id, column, truth }) => ({
      id,
      column: Number(column),
      pending: difference(live.get(id), column),
      truth: Number(truth),
    })),
    columnTotal: Number(totals[0]?.column),
    truthTotal: Number(totals[0]?.truth),
  };
}

/** In tenths, the smallest step of any counter here. */
function difference(live: CounterValue | undefined, column: string): number {
  return (Math.round(Number(live ?? column) * 10) - Math.round(Number(column) * 10)) / 10;
}
