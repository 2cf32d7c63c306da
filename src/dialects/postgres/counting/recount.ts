import type { DataSource, QueryRunner } from 'typeorm';

import { checkInt64 } from '../../../model/amount';
import type { CounterColumn } from '../../../model/definition';
import { AmountError } from '../../../errors';
import { isAboutRows } from '../apply/divide';
import { withConnection, withTransaction } from '../query';
import { MethodError, recountByMethod } from './recount-by-method';
import { recountBySources } from './recount-by-sources';
import { type Counted, type Counts, recountBySql, type RecountScope, tablesOf, tallyOf } from './recount-by-sql';
import { recountDividing } from './recount-dividing';
import { expectAllVisible, refuseHidden } from '../sight';

/**
 * Counts the sources of targets of one table, and reads their columns, in one snapshot: one statement where the
 * declarations allow it, otherwise one repeatable-read transaction. What cannot be counted for one target is named, and
 * keeps no other from being counted (I11).
 *
 * @throws NotPermittedError when policies may have hidden rows of the targets, or any that count
 */
export async function recount(dataSource: DataSource, scope: RecountScope): Promise<Counts> {
  const { columns, targets } = scope;
  const counts = await recountOrDivide(dataSource, scope);
  const counted = counts.counted.map((one, i) => one && onlyCountable(targets[i] ?? '', columns, one, counts));
  return { ...counts, counted };
}

/** Without the columns that could not be recounted, or whose sums 64 bits do not hold. */
function onlyCountable(
  target: string,
  columns: readonly CounterColumn[],
  counted: NonNullable<Counted>,
  { uncountable }: Counts,
): Counted {
  const countable = columns.flatMap((column) => {
    const values = counted.get(column.name);
    if (values === undefined || uncountable.has(target, column)) return [];
    const error = unfitness(column, values.truth) ?? unfitness(column, values.truth - values.column);
    if (error === null) return [[column.name, values] as const];
    uncountable.addColumn(target, column, error);
    return [];
  });
  return new Map(countable);
}

/** Why an amount cannot be handled; `null` when it can. */
function unfitness(column: CounterColumn, amount: bigint): AmountError | null {
  const label = `${column.targetTable.metadata.name}.${column.property}`;
  try {
    checkInt64(amount, amount, { label, from: 'what it should hold, or lacks,' });
    return null;
  } catch (error) {
    if (error instanceof AmountError) return error;
    throw error;
  }
}

function hasMethod(columns: readonly CounterColumn[]): boolean {
  return columns.some(({ counters }) => counters.some(({ method }) => method !== null));
}

async function recountOrDivide(dataSource: DataSource, scope: RecountScope): Promise<Counts> {
  try {
    return await recountTogether(dataSource, scope);
  } catch (error) {
    if (!(error instanceof MethodError) && !isAboutRows(error)) throw error;
    return withTransaction(dataSource, 'REPEATABLE READ', async (runner, manager) => {
      if (hasMethod(scope.columns)) await refuseHidden(runner, tablesOf(scope));
      const counts = await recountDividing({ runner, manager }, scope);
      await expectAllVisible(runner, tablesOf(scope));
      return counts;
    });
  }
}

async function recountTogether(dataSource: DataSource, scope: RecountScope): Promise<Counts> {
  const { targetTable, columns, targets } = scope;
  const counters = new Set(columns.flatMap((column) => column.counters.filter((counter) => !counter.sql)));
  const countBySql = (runner: QueryRunner) => recountBySql(runner, scope);
  if (counters.size === 0) return withConnection(dataSource, countBySql);
  return withTransaction(dataSource, 'REPEATABLE READ', async (runner, manager) => {
    const counts = await countBySql(runner);
    if (hasMethod(columns)) await refuseHidden(runner, tablesOf(scope));
    const present = new Set(targets.filter((_, i) => counts.counted[i] !== null));
    for (const counter of counters) {
      const tally = tallyOf(counts, targets, counter);
      if (counter.method === null) await recountBySources(manager, counter, targetTable, present, tally);
      else await recountByMethod(manager, counter, targetTable, present, tally);
    }
    // Once more: the first statement did not read all of them, and so did not keep others from adding policies.
    await expectAllVisible(runner, tablesOf(scope));
    return counts;
  });
}
