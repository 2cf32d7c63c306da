import Table from 'cli-table3';

import type { Applied } from '../messages';
import type { Tally } from '../replay/tally';
import { labelOf } from './counters';
import type { CheckResult } from './drift';

/** Adds up what the worker tells. */
export class AppliedTotals {
  readonly #columns = new Map<string, number>();
  statements = 0;
  rows = 0;

  add({ statements, rows, columns }: Applied): void {
    this.statements += statements;
    this.rows += rows;
    for (const [column, count] of Object.entries(columns)) this.#columns.set(column, this.of(column) + count);
  }

  /** Parent rows of which this column was updated. */
  of(column: string): number {
    return this.#columns.get(column) ?? 0;
  }
}

/** The table of counters, and what it all cost. */
export function renderReport(results: readonly CheckResult[], tally: Tally, applied: AppliedTotals): string {
  const table = new Table({
    head: ['Counter', 'Rows checked', 'Writes', 'UPDATEs of parents', 'Drift'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { counter, rows, wrong, drift } of results) {
    // A trace feeds only some of them.
    if (tally.writesOf(counter.source) === 0 && wrong === 0) continue;
    const label = labelOf(counter);
    const found = wrong === 0 ? '0' : `${drift} in ${wrong} rows`;
    table.push([label, format(rows), format(tally.writesOf(counter.source)), format(applied.of(label)), found]);
  }
  return [
    table.toString(),
    'Writes are rows written to the counted table, and may feed several counters. UPDATEs are parent rows whose column changed:',
    'one UPDATE brings all counters of a row up to date, so they do not add up.',
    `In all: ${format(tally.total)} rows written, ${format(applied.rows)} parent rows updated by ${format(applied.statements)} statements.`,
  ].join('\n');
}

function format(number: number): string {
  return number.toLocaleString('en-US');
}
