import type { DataSource, EntityManager } from 'typeorm';

import type { CounterColumn, TargetKind } from '../counter/definition';
import { withConnection, withTransaction } from './query';
import { recountByMethod } from './recount-by-method';
import { recountBySources } from './recount-by-sources';
import { type Counted, type Counts, recountBySql, tablesOf } from './recount-by-sql';
import { expectAllVisible, refuseHidden } from './sight';
import type { TablePaths } from './tables';

/**
 * Counts the sources of targets of one kind, and reads their columns, in one snapshot: one statement where the
 * declarations allow it, otherwise one repeatable-read transaction.
 */
export async function recount(
  dataSource: DataSource,
  tables: TablePaths,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
): Promise<Counts> {
  if (columns.every((column) => column.counters.every((counter) => counter.sql))) {
    return withConnection(dataSource, (runner) => recountBySql(runner, tables, kind, columns, targets));
  }
  return withTransaction(dataSource, 'REPEATABLE READ', async (runner, manager) => {
    const counts = await recountBySql(runner, tables, kind, columns, targets);
    if (hasMethod(columns)) await refuseHidden(runner, tablesOf(tables, kind, columns));
    const counted = await addOthers(manager, kind, columns, targets, counts.counted);
    // Once more: the first statement did not read all of them, and so did not keep others from adding policies.
    await expectAllVisible(runner, tablesOf(tables, kind, columns));
    return { ...counts, counted };
  });
}

function hasMethod(columns: readonly CounterColumn[]): boolean {
  return columns.some(({ counters }) => counters.some(({ method }) => method !== null));
}

async function addOthers(
  manager: EntityManager,
  kind: TargetKind,
  columns: readonly CounterColumn[],
  targets: readonly string[],
  counted: readonly Counted[],
): Promise<Counted[]> {
  const present = new Set(targets.filter((_, i) => counted[i] !== null));
  const counters = new Set(columns.flatMap((column) => column.counters.filter((counter) => !counter.sql)));
  const extra = new Map<string, Map<CounterColumn, bigint>>(targets.map((target) => [target, new Map()]));
  const add = (target: string, column: CounterColumn, amount: bigint) => {
    const sums = extra.get(target);
    sums?.set(column, (sums.get(column) ?? 0n) + amount);
  };
  for (const counter of counters) {
    const count = counter.method === null ? recountBySources : recountByMethod;
    await count(manager, counter, kind, present, add);
  }
  return counted.map((columnsOf, i) => columnsOf && withExtra(columnsOf, columns, extra.get(targets[i] ?? '')));
}

function withExtra(
  counted: NonNullable<Counted>,
  columns: readonly CounterColumn[],
  extra: ReadonlyMap<CounterColumn, bigint> | undefined,
): Counted {
  return new Map(
    columns.map((counterColumn) => {
      const { column, truth } = counted.get(counterColumn.name) ?? { column: 0n, truth: 0n };
      return [counterColumn.name, { column, truth: truth + (extra?.get(counterColumn) ?? 0n) }];
    }),
  );
}
