import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import type { DatedEnd } from './dated-ends';
import { observe, unobserve } from './observed';
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
  /** Settles where the statement wrote, when that is in doubt. */
  readonly whereabouts: Whereabouts;
  /** Records changes in the transaction that the answer belongs to; called in the order of the server's answers. */
  readonly record: (transactionId: string | null, tables: readonly TableChanges[]) => void;
}

/** Sends a captured statement, with as many others as it takes, and returns the answer that TypeORM is to see. */
export type Strategy = (statement: Statement) => Promise<QueryResult>;

/** What is done about a statement that may have changed rows of another table than the one that is counted. */
export interface Whereabouts {
  /** Keeps the transaction that the statement is part of from COMMIT, at once; returns what lifts that. */
  suspect(): () => void;
  /** @throws when the rows with this oid are not counted, or it cannot be told */
  check(oid: string): Promise<void>;
  /** A statement failed. */
  noticeOutdated(error: unknown): Promise<void>;
}

/** The answer to one write, read inside `afterQuery`, before TypeORM looks at it. */
export class Answer {
  readonly #parameters: readonly unknown[];
  readonly #whereabouts: Whereabouts;
  #isSeen = false;
  /** What to do once it is known that the counted table was written. */
  #held: { readonly oid: string; readonly resume: () => void } | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** To the statement that is sent with this very array of parameters; `taken` is told what it returned. */
  constructor(
    parameters: readonly unknown[],
    returning: Returning,
    whereabouts: Whereabouts,
    taken: (returned: Returned) => void,
  ) {
    this.#whereabouts = whereabouts;
    this.#parameters = parameters;
    observe(parameters, (result) => {
      this.#isSeen = true;
      try {
        const returned = returning.take(result);
        if (returned.elsewhere === null) taken(returned);
        else this.#hold(returned.elsewhere, () => taken(returned));
      } catch (error) {
        this.#failure = { error };
      }
    });
  }

  get isSeen(): boolean {
    return this.#isSeen;
  }

  /** @throws what `taken` threw, that nothing was seen of the answer, or that another table than the counted one was written */
  check(): Promise<void> | void {
    if (!this.#isSeen) throw unseen();
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#held !== null) return this.#settle(this.#held.oid, this.#held.resume);
  }

  /** Nothing is recorded before it is known where the rows are. */
  #hold(oid: string, taken: () => void): void {
    const lift = this.#whereabouts.suspect();
    const resume = (): void => {
      lift();
      taken();
    };
    this.#held = { oid, resume };
  }

  async #settle(oid: string, resume: () => void): Promise<void> {
    this.#held = null;
    await this.#whereabouts.check(oid);
    resume();
  }

  /** Has to be called when the statement is over. */
  forget(): void {
    unobserve(this.#parameters);
  }
}

/**
 * Sends one write and lets `taken` see what it returned, inside `afterQuery`. What `taken` throws rejects the write once
 * TypeORM is done with the answer.
 */
export async function send(
  { runner, returning, whereabouts }: Statement,
  sql: string,
  parameters: unknown[],
  taken: (returned: Returned) => void,
): Promise<QueryResult> {
  const expected = new Answer(parameters, returning, whereabouts, taken);
  const answer = await runner
    .query(sql, parameters, true)
    .catch(async (error: unknown) => {
      await whereabouts.noticeOutdated(error);
      throw error;
    })
    .finally(() => expected.forget());
  await expected.check();
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
  send(statement, statement.sql, statement.parameters, ({ changes, transactionId }) =>
    statement.record(transactionId, [{ plan: statement.plan, changes }]),
  );
