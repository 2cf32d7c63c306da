/**
 * What an error means for the work that it ended.
 *
 * - `transient`: the same work may succeed later, and no row is to blame.
 * - `ambiguous`: the server stopped the statement (for its time, or on request), or a trigger asked to try again later: a
 *   row may be to blame, or the load.
 * - `unknown`: the server has not answered; the work may have been done.
 * - `refused`: the same work is refused again, until rows, triggers, privileges or tables are changed.
 */
export type Failure = 'transient' | 'ambiguous' | 'unknown' | 'refused';

/** What the driver keeps of an answer of the server. */
interface ServerError {
  readonly code?: unknown;
  /** Every answer of the server has one; errors of the driver or of Node do not. */
  readonly severity?: unknown;
  /** The server's function that raised the error: the same in every language of its messages. */
  readonly routine?: unknown;
}

/**
 * SQLSTATEs and their classes: connections (08), a server that takes no writes, sessions and transactions that were ended,
 * serialization, an outcome that is not known, deadlocks, out of resources (53), locks that could not be had, shutdowns.
 */
const TRANSIENT = /^(?:08...|25006|25P0[34]|40001|40003|40P01|53...|55P03|57P0[1-5])$/;

const QUERY_CANCELED = '57014';

/** The server's function that ends a statement for its time, or because it was asked to. */
const INTERRUPTED = 'ProcessInterrupts';

/** The server's function behind RAISE of PL/pgSQL. */
const RAISED = 'exec_stmt_raise';

/** What an error means. */
export function classifyError(error: unknown): Failure {
  const { code, severity, routine } = (error ?? {}) as ServerError;
  if (typeof code !== 'string' || typeof severity !== 'string') return 'unknown';
  if (code === QUERY_CANCELED) return routine === INTERRUPTED ? 'ambiguous' : 'refused';
  if (!TRANSIENT.test(code)) return 'refused';
  return routine === RAISED ? 'ambiguous' : 'transient';
}

const LOCK_NOT_AVAILABLE = '55P03';

/** Whether a lock could not be had at once. */
export function isLockRefused(error: unknown): boolean {
  return (error as ServerError | null)?.code === LOCK_NOT_AVAILABLE;
}
