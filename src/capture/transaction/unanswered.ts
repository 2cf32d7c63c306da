import { CounterCacheError } from '../../errors';
import type { OpenTransaction, Outcome } from './open-transaction';
import type { TransactionCommand } from './transaction-command';

interface DatabaseError {
  readonly severity?: unknown;
  readonly code?: unknown;
}

/** Whether the server said that a statement failed, and went on: what it was to do is undone. */
export function isRefusal(error: unknown): boolean {
  const { severity, code } = (error ?? {}) as DatabaseError;
  return severity === 'ERROR' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
}

/** The answer to a COMMIT. */
interface CommitAnswer {
  readonly success: boolean;
  readonly rawResults?: unknown;
  readonly error?: unknown;
}

/**
 * PostgreSQL answers COMMIT with ROLLBACK when a statement of the transaction had failed. A lost connection, a time-out
 * or a FATAL error leaves the outcome unknown: the intent stays, and the sweep has its targets repaired.
 */
export function commitOutcome({ success, rawResults, error }: CommitAnswer): Outcome {
  if (success)
    return (rawResults as { command?: string } | undefined)?.command === 'ROLLBACK' ? 'rolled back' : 'committed';
  return isRefusal(error) ? 'rolled back' : 'unknown';
}

/**
 * Whether a statement that TypeORM sent got no answer (`query_timeout` of `pg`, say): the server may have done it, or may yet,
 * and its transaction is not aborted. What was not sent has no error of the driver's.
 */
function isUnanswered(error: unknown): boolean {
  const { driverError } = (error ?? {}) as { readonly driverError?: unknown };
  return driverError !== undefined && !isRefusal(driverError);
}

/** Why a transaction must not be committed in which a statement was not answered. */
function unanswered(cause: unknown): CounterCacheError {
  const advice = 'Roll the transaction back, or to a savepoint before that statement, and try again';
  return new CounterCacheError(
    'WRITE_FAILED',
    `a counted statement of this transaction got no answer (${String(cause)}): whether it was done, and what it counts, is not known. ${advice}`,
    {},
    { cause },
  );
}

/** Keeps a transaction from being committed, if what a counted statement of it failed with does not say what it did. */
export function putInDoubt(transaction: OpenTransaction, error: unknown): void {
  if (isUnanswered(error)) transaction.refuse(unanswered(error));
}

/** A BEGIN, COMMIT or ROLLBACK, or a command about a savepoint, got no answer: it may have been done, or may be yet. */
export function giveUp(transaction: OpenTransaction, command: TransactionCommand, error: unknown): void {
  transaction.suspect();
  // A savepoint that may be there is as good as one that is: to go back to one that is not is refused by the server.
  if (command.kind === 'savepoint') transaction.savepoint(command.name);
  if (command.kind === 'rollback-to') transaction.refuse(unanswered(error));
}
