import type { QueryRunner } from 'typeorm';

/** `pg`'s client, as far as it is needed. */
interface Client {
  /** The server's own word with its last answer: `I`dle, in a `T`ransaction, or in one that has failed (`E`). */
  getTransactionStatus?(): string | null;
  /** `false` while an answer is awaited, whether or not anybody still waits for it. */
  readonly readyForQuery?: boolean;
  once?(event: 'drain' | 'end', listener: () => void): unknown;
  off?(event: 'drain' | 'end', listener: () => void): unknown;
  end?(): Promise<void>;
}

function clientOf(runner: QueryRunner): Client | undefined {
  return (runner as unknown as { readonly databaseConnection?: Client }).databaseConnection;
}

/** Whether a connection was in a transaction when the server last answered; `null` where the driver does not say. */
export function isInTransaction(runner: QueryRunner): boolean | null {
  return isClientInTransaction(clientOf(runner));
}

/** The same of a connection that is in no query runner's hands. */
export function isClientInTransaction(client: unknown): boolean | null {
  const status = (client as Client | undefined)?.getTransactionStatus?.() ?? null;
  return status === null ? null : status !== 'I';
}

/** Whether the server has yet to answer something on a query runner's connection. */
export function isBusy(runner: QueryRunner): boolean {
  return clientOf(runner)?.readyForQuery === false;
}

/** Resolves when everything that was sent on a query runner's connection is answered, or the connection is gone. */
export async function answered(runner: QueryRunner): Promise<void> {
  const client = clientOf(runner);
  if (client?.once === undefined || !isBusy(runner)) return;
  await new Promise<void>((resolve) => {
    const finish = (): void => {
      client.off?.('drain', finish);
      client.off?.('end', finish);
      resolve();
    };
    client.once?.('drain', finish);
    client.once?.('end', finish);
  });
}

/** Closes a query runner's connection: `pg`'s pool, given it back, drops it. Not awaited, nor of interest how it ends. */
export function closeConnection(runner: QueryRunner): void {
  void clientOf(runner)
    ?.end?.()
    .catch(() => undefined);
}
