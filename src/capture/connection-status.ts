import type { QueryRunner } from 'typeorm';

interface Client {
  /** The server's own word with its last answer: `I`dle, in a `T`ransaction, or in one that has failed (`E`). */
  getTransactionStatus?(): string | null;
}

/** Whether a connection was in a transaction when the server last answered; `null` where the driver does not tell. */
export function isInTransaction(runner: QueryRunner): boolean | null {
  const { databaseConnection } = runner as unknown as { readonly databaseConnection?: Client };
  const status = databaseConnection?.getTransactionStatus?.() ?? null;
  return status === null ? null : status !== 'I';
}
