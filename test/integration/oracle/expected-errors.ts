import { QueryFailedError, TransactionNotStartedError } from 'typeorm';
import { CounterCacheError } from 'typeorm-counter-cache';

/** What an operation throws to roll back. */
export class Abort extends Error {
  override readonly name = 'Abort';
}

/** Errors after which the database has certainly not kept what was refused. */
const REFUSALS = new Set([
  '21000', // an upsert that meets a row twice
  '22012', // division by zero
  '23503', // foreign key
  '23505', // unique
  '25P01', // no transaction
  '25P02', // in a failed transaction
  '3B001', // no such savepoint
]);

/** Deadlocks and serialization failures. */
const CONFLICTS = new Set(['40001', '40P01']);

/** Codes of what may not happen in any world. */
const NO_REFUSALS: ReadonlySet<string> = new Set(['CLOSED', 'NOT_INITIALIZED', 'BUFFER_UNAVAILABLE', 'BAD_AMOUNT']);

/** Which errors of an operation count as a rollback; any other fails the run. */
export class ExpectedErrors {
  readonly #codes: ReadonlySet<string>;
  readonly #mayRefuse: () => boolean;

  /** `codes` are those of the setting; `mayRefuse` says whether the library may refuse what is done at present. */
  constructor(isConcurrent: boolean, codes: readonly string[] = [], mayRefuse = (): boolean => false) {
    this.#codes = new Set([...REFUSALS, ...codes, ...(isConcurrent ? CONFLICTS : [])]);
    this.#mayRefuse = mayRefuse;
  }

  includes(error: unknown): boolean {
    // TypeORM ends the outer transaction when a savepoint cannot be set in a failed one, and finds none to commit then.
    if (error instanceof Abort || error instanceof TransactionNotStartedError) return true;
    if (isRefusal(error)) return this.#mayRefuse();
    if (!(error instanceof QueryFailedError)) return false;
    // It counts one savepoint too few when BEGIN fails in a failed transaction that was begun by SQL.
    return error.query.startsWith('SAVEPOINT typeorm_-') || this.#codes.has(codeOf(error) ?? '');
  }
}

/** Whether the library has refused a write for what it is. */
export function isRefusal(error: unknown): error is CounterCacheError {
  return error instanceof CounterCacheError && !NO_REFUSALS.has(error.code);
}

/** How an error is named in the journal. */
export function nameOf(error: unknown): string {
  if (error instanceof CounterCacheError) return `${error.code} ${error.message}`;
  if (error instanceof QueryFailedError) return `${codeOf(error)} ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function codeOf({ driverError }: { readonly driverError: unknown }): string | undefined {
  return (driverError as { code?: string }).code;
}
