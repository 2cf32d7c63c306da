import type { QueryRunner } from 'typeorm';

import type { Mode } from '../../model/mode';
import type { DatedEnd } from './dated-ends';

/** What following transactions needs of the library around it. */
export interface TransactionsOptions {
  /** How deltas are published when their counter does not say. */
  readonly mode: Mode;
  /** Follows paths again as they lead by now; returns the targets of those that lead elsewhere. */
  readonly recheck: (ends: readonly DatedEnd[]) => Promise<readonly string[]>;
  /** What COMMIT is to be rejected with, when what it takes was refused. */
  readonly explain: (error: unknown, runner: QueryRunner) => Promise<unknown>;
  /** A TRUNCATE has succeeded. */
  readonly onTruncate: (sql: string) => void;
  /** Tables may be others from now on: the transaction that changed them is committed, or may be. */
  readonly onSchemaChange: () => void;
  /** A transaction that was to be refused was ended behind our back: by what it was to be refused. */
  readonly onUnseen: (refusal: Error) => void;
  /** What the caller of a COMMIT that took something waits for; never rejects. `null` is nothing (I5). */
  readonly afterCommit: (() => Promise<void>) | null;
}
