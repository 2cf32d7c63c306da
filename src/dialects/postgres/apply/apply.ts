import type { DataSource } from 'typeorm';

import type { Batch } from '../../../model/pending';
import type { Definitions } from '../../../model/definition';
import { type AppliedEntries, applyEntries, applyOrIsolate } from './apply-entries';
import { enterBatch, noteUnapplied } from './ledger';
import { withTransaction } from '../query';
import type { TablePaths } from '../installation/tables';

/** What became of a batch. */
export interface Applied extends AppliedEntries {
  /** `fenced`: claimed before its shard lost its data, or older than the ledger remembers; nothing was applied. */
  readonly status: 'applied' | 'already' | 'fenced';
}

const NOTHING = { unapplied: [], unknown: [], hiddenBy: [], changes: [], updates: 0 } as const;

/**
 * Applies a batch exactly once (I3): the ledger entry and the columns change in one transaction. `withChanges`: the
 * columns' values are reported, too.
 */
export function applyBatch(
  dataSource: DataSource,
  tables: TablePaths,
  definitions: Definitions,
  batch: Batch,
  withChanges: boolean,
): Promise<Applied> {
  return applyOrIsolate((applyTable) =>
    withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
      const entry = await enterBatch(runner, tables, batch);
      if (entry.status === 'applied') return { ...NOTHING, status: 'already', unapplied: entry.unapplied };
      if (entry.status === 'fenced') return { ...NOTHING, status: 'fenced' };
      const applied = await applyEntries(runner, definitions, batch.entries, applyTable, withChanges);
      if (applied.unapplied.length > 0) await noteUnapplied(runner, tables, batch.id, applied.unapplied);
      return { ...applied, status: 'applied' };
    }),
  );
}
