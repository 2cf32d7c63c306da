import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import type { DatedEnd } from './transaction/dated-ends';
import { observe, type RawResult, unobserve } from './observed';
import type { TablePlan } from './plan';
import { type Returned, type Returning, type RowChange } from './returning';
import { stopStreaming, streamRows } from '../typeorm/row-stream';
import type { WriteBuilder } from '../typeorm/write-builder';

/** What one statement changed in one table. */
export interface TableChanges {
  readonly plan: TablePlan;
  readonly changes: readonly RowChange[];
  /** Targets that sources were moved to, or away from, by changes of intermediate rows. */
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
  /** Told parts of what a statement returns while it comes; `record` is told the rest. `null` where all has to be seen at once. */
  readonly recordSlice: ((returned: Returned) => void) | null;
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

/** Told what a statement returned. */
interface Taken {
  /** All of it, or what is left once slices were taken. */
  readonly whole: (returned: Returned) => void;
  /** What many rows returned before the last of them, while they come; `null` where all has to be seen at once. */
  readonly slice: ((returned: Returned) => void) | null;
}

/** What was taken of one answer before it was over. */
class Slices {
  readonly #rows: RawResult['rows'] = [];
  #first: Returned | null = null;

  constructor(parameters: readonly unknown[], returning: Returning, taken: (returned: Returned) => void) {
    streamRows(parameters, (rows) => {
      const slice = { rows };
      const returned = returning.take(slice);
      this.#first ??= returned;
      this.#rows.push(...slice.rows);
      taken(returned);
    });
  }

  /** Gives TypeORM all rows back; returns the rest of what was returned, with what is true of all of it. */
  join(rest: Returned, result: RawResult): Returned {
    if (this.#first === null) return rest;
    if (this.#rows.length > 0) result.rows = [...this.#rows, ...result.rows];
    const { transactionId, elsewhere } = this.#first;
    return { ...rest, transactionId, elsewhere };
  }
}

/** The answer to one write, read inside `afterQuery`, before TypeORM looks at it. */
export class Answer {
  readonly #parameters: readonly unknown[];
  readonly #whereabouts: Whereabouts;
  #isSeen = false;
  /** What to do once it is known that the counted table was written. */
  #held: { readonly oid: string; readonly resume: () => void } | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** To the statement that is sent with this very array of parameters. */
  constructor(parameters: readonly unknown[], returning: Returning, whereabouts: Whereabouts, taken: Taken) {
    this.#parameters = parameters;
    this.#whereabouts = whereabouts;
    const slices = taken.slice === null ? null : new Slices(parameters, returning, taken.slice);
    observe(parameters, (result) => {
      this.#isSeen = true;
      try {
        const last = returning.take(result);
        const returned = slices?.join(last, result) ?? last;
        if (returned.elsewhere === null) taken.whole(returned);
        else this.#hold(returned.elsewhere, () => taken.whole(returned));
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
    stopStreaming(this.#parameters);
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
  sliced: Statement['recordSlice'] = null,
): Promise<QueryResult> {
  const expected = new Answer(parameters, returning, whereabouts, { whole: taken, slice: sliced });
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
  send(
    statement,
    statement.sql,
    statement.parameters,
    ({ changes, transactionId }) => statement.record(transactionId, [{ plan: statement.plan, changes }]),
    statement.recordSlice,
  );
