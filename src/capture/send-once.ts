import type { QueryResult } from 'typeorm';

import type { SqlQuery } from '../dialects/postgres/query';
import type { Enclosed } from './inline-outbox/inline-outbox';
import { send, type Statement, type Strategy } from './statement';
import type { Transactions } from './transaction/transactions';

/** The database returns all that is needed: one statement, with its deltas in it where they can be. */
export const sendOnce: Strategy = (statement) => {
  const { recording, plan, record, recordSlice } = statement;
  const query: SqlQuery = [statement.sql, statement.parameters];
  const enclosed = recording.enclose(query);
  if (enclosed !== null) return sendEnclosing(statement, query, enclosed);
  return send(statement, query, ({ changes, transactionId }) => record(transactionId, [{ plan, changes }]), {
    slice: recordSlice,
  });
};

/**
 * Sends a statement that is in no transaction as it is, with its deltas in it: it commits both by itself. `null`, and nothing
 * is done, where it cannot be.
 */
export async function sendByItself(statement: Statement, transactions: Transactions): Promise<QueryResult | null> {
  const recording = statement.recording.outside();
  const query: SqlQuery = [statement.sql, [...statement.parameters]];
  const enclosed = recording.enclose(query);
  if (enclosed === null) return null;
  const leave = transactions.enter(null, null);
  try {
    return await sendEnclosing({ ...statement, recording }, query, enclosed, false);
  } catch (error) {
    if (recording.isUnfit(error)) return null;
    throw error;
  } finally {
    leave();
  }
}

/** What commits by itself is counted, seen or not: its answer is not needed. */
async function sendEnclosing(
  statement: Statement,
  query: SqlQuery,
  enclosed: Enclosed,
  isNeeded = true,
): Promise<QueryResult> {
  const { recording } = statement;
  try {
    const answer = await send(statement, query, (returned) => recording.recordEnclosed(enclosed, returned), {
      isNeeded,
    });
    await recording.finish();
    return answer;
  } catch (error) {
    recording.noticeUnfit(error);
    throw error;
  }
}
