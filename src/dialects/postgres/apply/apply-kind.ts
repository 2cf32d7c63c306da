import type { QueryRunner } from 'typeorm';

import type { BatchEntry, Unapplied } from '../../../model/pending';
import type { TargetKind } from '../../../model/definition';
import { updateColumns, type Updated } from './update-columns';

/** How the entries of one kind are applied: together, or with the rows that are refused isolated. */
export type ApplyKind = (
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
  withChanges: boolean,
) => Promise<KindOutcome>;

/** What became of the entries of one kind. */
export interface KindOutcome extends Omit<Updated, 'unchanged'> {
  /** Parked, or put off for a while. */
  readonly left: readonly Unapplied[];
  /** UPDATE statements sent. */
  readonly updates: number;
}

/** All rows of a kind in one UPDATE. */
export const together: ApplyKind = async (...entries) => {
  const { unchanged, ...updated } = await updateColumns(...entries);
  return { ...updated, left: unchanged.map(({ target, reason }) => ({ target, failed: reason })), updates: 1 };
};
