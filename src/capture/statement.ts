import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import type { DatedEnd } from './dated-ends';
import { observe, type RawResult, unobserve } from './observed';
import type { TablePlan } from './plan';
import { type Returned, type Returning, type RowChange } from './returning';
import { stopStreaming, streamRows } from './row-stream';
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
  /** Told parts of what a statement returns while it comes; `record` is told the rest. `null` where all has to be seen at once. */
  readonly recordSlice: ((returned: Returned) => void) | null;
}

/** Sends a captured statement, with as many others as it takes, and returns the answer that TypeORM is to see. */
export type Strategy = (statement: Statement) => Promise<QueryResult>;

/** The answer to one write, read inside `afterQuery`, before TypeORM looks at it. */
export class Answer {
  readonly #parameters: readonly unknown[];
  #isSeen = false;
  #failure: { readonly error: unknown } | null = null;

  /**
   * To the statement that is sent with this very array of parameters; `taken` is told what it returned, `sliced`, if it is
   * given, what many rows returned before the last of them.
   */
  constructor(
    parameters: readonly unknown[],
    returning: Returning,
    taken: (returned: Returned) => void,
    sliced: ((returned: Returned) => void) | null = null,
  ) {
    this.#parameters = parameters;
    const others: RawResult = { rows: [] };
    let id: string | null = null;
    if (sliced !== null)
      streamRows(parameters, (rows) => {
        const slice = { rows };
        const returned = returning.take(slice);
        id ??= returned.transactionId;
        others.rows.push(...slice.rows);
        sliced(returned);
      });
    observe(parameters, (result) => {
      this.#isSeen = true;
      try {
        const returned = returning.take(result);
        if (others.rows.length > 0) result.rows = [...others.rows, ...result.rows];
        taken(id === null ? returned : { ...returned, transactionId: id });
      } catch (error) {
        this.#failure = { error };
      }
    });
  }

  get isSeen(): boolean {
    return this.#isSeen;
  }

  /** @throws what `taken` threw, or that nothing was seen of the answer */
  check(): void {
    if (!this.#isSeen) throw unseen();
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Has to be called when the statement is over. */
  forget(): void {
    unobserve(this.#parameters);
    stopStreaming(this.#parameters);
  }
}

/**
 * Sends one write and lets `taken` see what it returned, inside `afterQuery`. What `taken` throws rejects the write once
 * TypeORM is done with the answer.
 */
export async function send(
  { runner, returning }: Statement,
  sql: string,
  parameters: unknown[],
  taken: (returned: Returned) => void,
  sliced: Statement['recordSlice'] = null,
): Promise<QueryResult> {
  const expected = new Answer(parameters, returning, taken, sliced);
  const answer = await runner.query(sql, parameters, true).finally(() => expected.forget());
  expected.check();
  return answer;
}

/** TypeORM's list of subscribers lacks ours. */
export function unseen(): CounterCacheError {
  const advice = 'Keep the array `dataSource.subscribers` that TypeORM made: add to it, do not replace it.';
  return new CounterCacheError(
    'WRITE_FAILED',
    `a counted statement was not seen by the library's subscriber. ${advice}`,
  );
}

/** The database returns all that is needed: one statement. */
export const sendOnce: Strategy = (statement) =>
  send(
    statement,
    statement.sql,
    statement.parameters,
    ({ changes, transactionId }) => statement.record(transactionId, [{ plan: statement.plan, changes }]),
    statement.recordSlice,
  );
