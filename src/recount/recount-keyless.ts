import { formatDecimal } from '../model/amount';
import type { CounterColumn, TargetTable } from '../model/definition';
import { keylessTarget } from '../model/target';
import type { Drift } from '../events';
import { clearKeyless, type KeylessRow, readKeyless } from '../dialects/postgres/counting/keyless-rows';
import { withConnection } from '../dialects/postgres/query';
import { readHorizon } from '../dialects/postgres/snapshot';
import type { JobContext } from '../engines/context';
import type { Recalculated, RecalculateOptions } from './recount-targets';
import { RecountLease } from './recount-lease';

const SETTLED = { dirty: false, waiting: false } as const;

/**
 * Sets the columns of rows whose key is NULL to 0: nothing refers to them. No delta can be applied to them, and so it is
 * done at once, without one. Rows that others have locked are left for the next attempt.
 */
export async function recalculateKeyless(
  context: JobContext,
  targetTable: TargetTable,
  { columns: columnsOf, where, ...options }: RecalculateOptions,
): Promise<Recalculated> {
  const { buffer, dataSource, schedule } = context;
  const target = keylessTarget(targetTable.id);
  const refused = { target, outcome: 'refused', drifts: [], dirty: true, waiting: false } as const;
  const horizon = await withConnection(dataSource, readHorizon);
  const lease = await RecountLease.acquire(buffer, [target], { horizon, plain: options.plain ?? false });
  if (lease.targets.length === 0) return refused;
  const columns = columnsOf(targetTable);
  const look = { targetTable, columns, where: where ?? null };
  const { rows, snapshot, isDone } = await lease.during(() =>
    withConnection(dataSource, async (runner) => {
      const read = await readKeyless(runner, look);
      return { ...read, isDone: options.dry || (await clearKeyless(runner, look, read.rows)) };
    }),
  );
  if (!isDone) {
    await lease.release();
    return refused;
  }
  const recount = { target, missing: null, rearmIn: null };
  const { outcomes } = await lease.finalize(snapshot, [recount], options, schedule);
  if (outcomes[0]?.standing !== true) return { ...refused, outcome: 'lost' };
  const drifts = rows.flatMap((row) => driftsOf(targetTable, columns, row));
  return { target, outcome: drifts.length > 0 ? 'done' : 'absent', drifts, ...SETTLED };
}

function driftsOf(
  { metadata }: TargetTable,
  columns: readonly CounterColumn[],
  { primaryKey, values }: KeylessRow,
): Drift[] {
  const names = metadata.primaryColumns.map(({ propertyPath }, i) => `${propertyPath} ${primaryKey[i]}`);
  return columns.flatMap((column, i): Drift[] => {
    const value = values[i] ?? 0n;
    if (value === 0n) return [];
    return [
      {
        entity: metadata.name,
        id: `NULL (${names.join(', ')})`,
        column: column.property,
        counters: column.counters.map(({ name }) => name),
        wrong: formatDecimal(value, column.scale),
        right: formatDecimal(0n, column.scale),
      },
    ];
  });
}
