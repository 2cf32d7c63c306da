import type { QueryRunner } from 'typeorm';

import type { BatchEntry, Unapplied } from '../../../model/pending';
import type { TargetTable } from '../../../model/definition';
import { updateColumns, type Updated } from './update-columns';

/** How the entries of one target table are applied: together, or with the rows that are refused isolated. */
export type ApplyTable = (
  runner: QueryRunner,
  targetTable: TargetTable,
  entries: readonly BatchEntry[],
  withChanges: boolean,
) => Promise<TableOutcome>;

/** What became of the entries of one target table. */
export interface TableOutcome extends Omit<Updated, 'unchanged'> {
  /** Parked, or put off for a while. */
  readonly left: readonly Unapplied[];
  /** UPDATE statements sent. */
  readonly updates: number;
}

/** All rows of a target table in one UPDATE. */
export const together: ApplyTable = async (...entries) => {
  const { unchanged, ...updated } = await updateColumns(...entries);
  return { ...updated, left: unchanged.map(({ target, reason }) => ({ target, failed: reason })), updates: 1 };
};
