import type { OpenTransaction } from './open-transaction';

/** Prepares a COMMIT, one time after the other: what the first wrote to the outbox is not to be written again. */
export function inTurn(transaction: OpenTransaction, prepare: () => Promise<void>): Promise<void> {
  const prepared = transaction.preparing?.then(prepare) ?? prepare();
  const finish = (): void => {
    if (transaction.preparing === over) transaction.preparing = null;
  };
  const over = prepared.then(finish, finish);
  transaction.preparing = over;
  return prepared;
}
