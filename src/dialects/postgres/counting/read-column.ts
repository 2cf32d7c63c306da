import type { QueryRunner } from 'typeorm';

import { parseDecimal } from '../../../model/amount';
import type { CounterColumn } from '../../../model/definition';
import { escapeName } from '../escape';
import { keyArrays, listedTargets, matchesListed } from '../keys';
import { type AppliedBatches, appliedBatchesSql, parseApplied } from '../apply/ledger';
import { waitingJoin } from './recount-by-sql';
import { rowsSeen } from '../sight';
import { tableSql } from '../table-names';
import type { TablePaths } from '../installation/tables';

/** A counter column of several targets, with what waits for it in the outbox, and which of some batches are applied, in one snapshot. */
export interface ColumnValues {
  /** By the order of the targets; `null` where the row does not exist. Scaled units. */
  readonly values: readonly (bigint | null)[];
  readonly applied: AppliedBatches;
}

/**
 * Reads a counter column, the outbox and the ledger in one statement, so that what was applied is seen either before or
 * after, wherever it waited.
 *
 * @throws NotPermittedError when policies may have hidden rows
 */
export async function readColumn(
  runner: QueryRunner,
  tables: TablePaths,
  column: CounterColumn,
  targets: readonly string[],
  batches: readonly string[],
): Promise<ColumnValues> {
  const { targetTable } = column;
  const parameters: unknown[] = [...keyArrays(targetTable, targets), targets];
  const ids = `$${parameters.length}`;
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  const own = [tableSql(targetTable.metadata), tables.outbox, tables.ledger];
  const applied = appliedBatchesSql(tables, bind(batches));
  const waiting = waitingJoin(tables, ids, [bind(column.name)]);
  const rows = await rowsSeen(runner, own, (sight) => [
    `SELECT (t.${escapeName(targetTable.keys[0]?.name ?? '')} IS NOT NULL) AS present, COALESCE(t.${escapeName(column.name)}, 0)::text AS value, COALESCE(w.o0, 0)::text AS outbox, ${applied} AS applied, ${sight}
     FROM ${listedTargets(targetTable.keys.length)}
     LEFT JOIN ${tableSql(targetTable.metadata)} t ON ${matchesListed('t', targetTable.keys)} ${waiting}
     ORDER BY k.ordinal`,
    parameters,
  ]);
  return {
    values: rows.map((row) =>
      row['present'] === true ? parseDecimal(String(row['value']), column.scale) + BigInt(String(row['outbox'])) : null,
    ),
    applied: parseApplied(rows[0]?.['applied']),
  };
}
