import type { QueryResult, QueryRunner } from 'typeorm';

import { CounterCacheError } from '../errors';
import type { SqlQuery } from '../dialects/postgres/query';
import type { DatedEnd } from './transaction/dated-ends';
import { observe, type RawResult, unobserve } from './observed';
import type { TablePlan } from './plan';
import type { Recording } from './recording';
import type { Returned, Returning, RowChange } from './returning';
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
  /** Receives what is enclosed, what fails, and where the statement wrote. */
  readonly recording: Recording;
  /** Records changes in the transaction that the answer belongs to; called in the order of the server's answers. */
  readonly record: (transactionId: string | null, tables: readonly TableChanges[]) => void;
  /** Receives parts of what a statement returns while it comes; `record` receives the rest. `null` where all has to be seen at once. */
  readonly recordSlice: ((returned: Returned) => void) | null;
}

/** Sends a captured statement, with as many others as it takes, and returns the answer that TypeORM is to see. */
export type Strategy = (statement: Statement) => Promise<QueryResult>;

/** Receives what a statement returned: all of it, or what is left once slices were taken. */
type Taker = (returned: Returned) => void;

/** How the answer to a statement is taken. */
interface Taking {
  /**
   * Receives what many rows returned before the last of them, while they come; `null` where all has to be seen at once.
   *
   * @defaultValue null
   */
  readonly slice?: Taker | null;
  /**
   * Whether the answer has to be seen.
   *
   * @defaultValue true
   */
  readonly isNeeded?: boolean;
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
class Answer {
  readonly #parameters: readonly unknown[];
  readonly #recording: Recording;
  #isSeen = false;
  /** What to do once it is known that the counted table was written. */
  #held: { readonly oid: string; readonly resume: () => void } | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** To the statement that is sent with this very array of parameters. */
  constructor(parameters: readonly unknown[], { returning, recording }: Statement, whole: Taker, slice: Taker | null) {
    this.#parameters = parameters;
    this.#recording = recording;
    const slices = slice === null ? null : new Slices(parameters, returning, slice);
    observe(parameters, (result) => {
      this.#isSeen = true;
      try {
        const last = returning.take(result);
        const returned = slices?.join(last, result) ?? last;
        if (returned.elsewhere === null) whole(returned);
        else this.#hold(returned.elsewhere, () => whole(returned));
      } catch (error) {
        this.#failure = { error };
      }
    });
  }

  get isSeen(): boolean {
    return this.#isSeen;
  }

  /** @throws what `taken` threw, or that another table than the counted one was written */
  check(): Promise<void> | void {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#held !== null) return this.#settle(this.#held.oid, this.#held.resume);
  }

  /** Nothing is recorded before it is known where the rows are. */
  #hold(oid: string, taken: () => void): void {
    const lift = this.#recording.suspect();
    const resume = (): void => {
      lift();
      taken();
    };
    this.#held = { oid, resume };
  }

  async #settle(oid: string, resume: () => void): Promise<void> {
    this.#held = null;
    await this.#recording.check(oid);
    resume();
  }

  /** Has to be called when the statement is over. */
  forget(): void {
    unobserve(this.#parameters);
    stopStreaming(this.#parameters);
  }
}

/**
 * Sends one write and has `taken` see what it returned, inside `afterQuery`. What `taken` throws rejects the write once
 * TypeORM is done with the answer.
 *
 * @throws CounterCacheError `WRITE_FAILED` when nothing was seen of the answer, and that is needed
 */
export async function send(
  statement: Statement,
  [sql, parameters]: SqlQuery,
  taken: Taker,
  { slice = null, isNeeded = true }: Taking = {},
): Promise<QueryResult> {
  const { runner, recording } = statement;
  const expected = new Answer(parameters, statement, taken, slice);
  try {
    const answer = await runner.query(sql, parameters, true);
    if (expected.isSeen) await expected.check();
    else if (isNeeded) throw unseen();
    return answer;
  } catch (error) {
    if (!expected.isSeen) await recording.noticeOutdated(error);
    throw error;
  } finally {
    expected.forget();
  }
}

/** TypeORM's list of subscribers lacks ours. */
function unseen(): CounterCacheError {
  const advice = 'Keep the array `dataSource.subscribers` that TypeORM made: add to it, do not replace it.';
  return new CounterCacheError(
    'WRITE_FAILED',
    `a counted statement was not seen by the library's subscriber. ${advice}`,
  );
}
