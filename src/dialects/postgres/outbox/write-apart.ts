import type { DataSource } from 'typeorm';

import { withTransaction } from '../query';
import { besidePool } from '../side-connection';
import { transactionIdOf } from '../snapshot';
import type { TablePaths } from '../installation/tables';
import { type OutboxDelta, writeOutbox } from './write-outbox';

/** Rows are due at once: there is no window to round up to. */
const WINDOW = 1;

/** Writes rows to the outbox in a transaction of our own, for what no transaction of the caller's can hold any more. */
export async function writeApart(
  dataSource: DataSource,
  tables: TablePaths,
  deltas: readonly OutboxDelta[],
): Promise<void> {
  await besidePool('full', () =>
    withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
      const transactionId = await transactionIdOf(runner);
      await writeOutbox(runner, tables, {
        transactionId,
        replaced: [],
        deltas,
        window: WINDOW,
      });
    }),
  );
}
