import type { QueryResult } from 'typeorm';

import { CounterCacheError } from '../../errors';
import { rollBack } from '../../dialects/postgres/query';
import type { Statement, Strategy } from '../statement';
import type { OpenTransaction } from './open-transaction';
import type { Transactions } from './transactions';

/** States in which the server is certainly out of the transaction. */
const ENDED: ReadonlySet<OpenTransaction['state']> = new Set(['committed', 'rolled back', 'unseen']);

/**
 * Sends a statement that is in no transaction in one of its own, so that it is announced before its COMMIT.
 *
 * @throws CounterCacheError `WRITE_FAILED` when the database answered COMMIT with ROLLBACK; what the database throws
 */
export async function inOwnTransaction(
  transactions: Transactions,
  statement: Statement,
  strategy: Strategy,
): Promise<QueryResult> {
  const { runner } = statement;
  const own = transactions.adopt(runner, true);
  try {
    await runner.query('START TRANSACTION');
    const answer = await transactions.during(own, runner, () => strategy(statement));
    await runner.query('COMMIT');
    if (own.state === 'rolled back') throw rolledBack(statement);
    return answer;
  } catch (error) {
    // The first error counts, not that of the ROLLBACK. A COMMIT that was not answered may not have been sent.
    if (!ENDED.has(own.state)) await rollBack(runner);
    transactions.forget(runner, own);
    throw error;
  }
}

function rolledBack({ plan }: Statement): CounterCacheError {
  const { name } = plan.metadata;
  return new CounterCacheError(
    'WRITE_FAILED',
    `the database rolled back a write of ${name}; nothing was written. Try it again`,
    { entity: name },
  );
}
