import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import type { DatedEnd } from './dated-ends';
import { observe, type RawResult, unobserve } from './observed';
import type { TablePlan } from './plan';
import { type Returned, type Returning, type RowChange } from './returning';
import type { WriteBuilder } from './write-builder';

/** What one statement changed in one table. */
export interface TableChanges {
  readonly plan: TablePlan;
  readonly changes: readonly RowChange[];
  /** Targets that sources were moved to, or away from, by changes of rows between. */
  readonly moved?: readonly string[];
  /** Where paths led in a snapshot that outlives the statement. */
  readonly dated?: readonly DatedEnd[];
}

/** One write of one builder, on its way to the database. */
export interface Statement {
  readonly runner: QueryRunner;
  readonly builder: WriteBuilder;
  readonly plan: TablePlan;
  readonly returning: Returning;
  /** As TypeORM made them, with our RETURNING columns. */
  readonly sql: string;
  readonly parameters: unknown[];
  /** Records changes in the transaction that the answer belongs to; called in the order of the server's answers. */
  readonly record: (transactionId: string | null, tables: readonly TableChanges[]) => void;
}

/** Sends a captured statement, with as many others as it takes, and returns the answer that TypeORM is to see. */
export type Strategy = (statement: Statement) => Promise<QueryResult>;

/**
 * Sends one write and lets `taken` see what it returned, inside `afterQuery`. What `taken` throws rejects the write once
 * TypeORM is done with the answer.
 */
export async function send(
  { runner, returning }: Statement,
  sql: string,
  parameters: unknown[],
  taken: (returned: Returned) => void,
): Promise<QueryResult> {
  let seen = false;
  let failure: { readonly error: unknown } | null = null;
  observe(parameters, (result: RawResult) => {
    seen = true;
    try {
      taken(returning.take(result));
    } catch (error) {
      failure = { error };
    }
  });
  const answer = await runner.query(sql, parameters, true).finally(() => unobserve(parameters));
  if (!seen) throw unseen();
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
  return answer;
}

function unseen(): CounterCacheError {
  const advice = 'Keep the array `dataSource.subscribers` that TypeORM made: add to it, do not replace it.';
  return new CounterCacheError(
    'WRITE_FAILED',
    `a counted statement was not seen by the library's subscriber. ${advice}`,
  );
}

/** The database returns all that is needed: one statement. */
export const sendOnce: Strategy = (statement) =>
  send(statement, statement.sql, statement.parameters, ({ changes, transactionId }) =>
    statement.record(transactionId, [{ plan: statement.plan, changes }]),
  );
