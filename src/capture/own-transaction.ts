import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import { sendAs } from './manner';
import { isStale } from './prepared-statements';
import type { Statement, Strategy } from './statement';
import type { Transactions } from './transactions';

const BEGIN = 'START TRANSACTION';

/**
 * Sends a statement that is in no transaction in one of its own, so that it is announced before its COMMIT. `isAlone`: it is
 * one statement, on a query runner that nobody else uses, and need not wait until the transaction has begun. `null`, and
 * nothing is done, when it has to be sent once more.
 */
export async function inOwnTransaction(
  transactions: Transactions,
  statement: Statement,
  strategy: Strategy,
  isAlone: boolean,
): Promise<QueryResult | null> {
  const { runner } = statement;
  const own = transactions.adopt(runner, true);
  try {
    const begun = isAlone ? await sendBegin(runner) : await begin(runner);
    const sent = transactions.during(own, runner, () => strategy(statement));
    const answer = await sent.finally(() => begun.hasFailed);
    if (await begun.hasFailed) {
      // A transaction that could not begin let its statement commit by itself.
      transactions.abandon(runner, own);
      return answer;
    }
    await runner.query('COMMIT');
    if (own.outcome === 'rolled back') throw rolledBack(statement);
    return answer;
  } catch (error) {
    // The first error counts, whatever becomes of the ROLLBACK.
    if (own.outcome === null) await runner.query('ROLLBACK').catch(() => undefined);
    transactions.forget(runner, own);
    if (isStale(error)) return null;
    throw error;
  }
}

/** A transaction that has begun, or is about to. */
interface Begun {
  readonly hasFailed: Promise<boolean>;
}

async function begin(runner: QueryRunner): Promise<Begun> {
  await runner.query(BEGIN);
  return { hasFailed: Promise.resolve(false) };
}

/** Resolves when what is sent next arrives behind BEGIN; rejects when BEGIN was not sent, or has failed before. */
async function sendBegin(runner: QueryRunner): Promise<Begun> {
  let onSent = (): void => undefined;
  const sent = new Promise<void>((resolve) => (onSent = resolve));
  const answered = runner.query(BEGIN, sendAs([], { onSent }));
  const hasFailed = answered.then(
    () => false,
    () => true,
  );
  await Promise.race([sent, answered]);
  return { hasFailed };
}

function rolledBack({ plan }: Statement): CounterCacheError {
  const { name } = plan.metadata;
  return new CounterCacheError(
    'WRITE_FAILED',
    `the database rolled back a write of ${name}; nothing was written. Try it again`,
    { entity: name },
  );
}
