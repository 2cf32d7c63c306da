import type { QueryRunner } from 'typeorm';

import type { WakeUp, TargetDelta } from '../../model/pending';
import type { OpenTransaction } from './open-transaction';

/** Takes what transactions captured to where it waits, as they begin to end and when they have ended. */
export interface Publisher {
  /** Before COMMIT, over the transaction's own query runner. What it rejects with keeps the transaction from COMMIT. */
  prepare(transaction: OpenTransaction, runner: QueryRunner): Promise<void>;
  /** After COMMIT. */
  confirm(transaction: OpenTransaction): void;
  /** After ROLLBACK. */
  discard(transaction: OpenTransaction): void;
  /** After a COMMIT whose outcome is unknown. */
  leave(transaction: OpenTransaction): void;
  /** Sets wake-ups for what is in the outbox. */
  wake(wakeUps: readonly WakeUp[]): void;
  /** Asks for recalculations of targets. */
  recalculate(deltas: readonly Pick<TargetDelta, 'target' | 'repair'>[]): void;
}
