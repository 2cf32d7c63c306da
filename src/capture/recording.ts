import type { QueryRunner } from 'typeorm';

import type { Row } from '../model/definition';
import { AmountError } from '../errors';
import { isElsewhere } from '../dialects/postgres/outbox/enclose';
import type { SqlQuery } from '../dialects/postgres/query';
import type { Enclosed, InlineOutbox } from './inline-outbox/inline-outbox';
import type { OpenTransaction } from './transaction/open-transaction';
import type { Place } from './place';
import { keyedKinds, type TablePlan } from './plan';
import type { KeyedKinds, Recorder } from './recorder';
import type { Returned } from './returning';
import type { TableChanges, Whereabouts } from './statement';
import type { Transactions } from './transaction/transactions';
import type { WriteBuilder } from '../typeorm/write-builder';

/** What recording works with. */
export interface RecordingTools {
  readonly transactions: Transactions;
  readonly recorder: Recorder;
  readonly inlineOutbox: InlineOutbox;
}

/**
 * Statements of one transaction that enclose their deltas. Each costs the database about a third of the one statement that
 * writes the sums of all others before COMMIT.
 */
const MOST = 3;

/** Rows to be inserted whose answers are looked at while they come. */
const MANY = 500;

/** PostgreSQL: feature_not_supported. A rule turns the INSERT into several statements, which no WITH may stand before. */
const UNSUPPORTED = '0A000';

/** Records what one builder's execution changes. */
export class Recording implements Whereabouts {
  readonly #tools: RecordingTools;
  readonly #builder: WriteBuilder;
  readonly #runner: QueryRunner | null;
  readonly #plan: TablePlan;
  readonly #place: Place;
  /** What was captured of parts of an answer that is still coming. */
  #part: OpenTransaction | null = null;
  #partFailure: { readonly error: unknown } | null = null;
  #hasEnclosed = false;
  #isUnfinished = false;

  /** Without a query runner, for a statement that is in no transaction. */
  constructor(tools: RecordingTools, builder: WriteBuilder, runner: QueryRunner | null, plan: TablePlan, place: Place) {
    this.#place = place;
    this.#tools = tools;
    this.#builder = builder;
    this.#runner = runner;
    this.#plan = plan;
  }

  /** Encloses deltas in a statement that is about to be sent; `null` when they have to go another way. */
  enclose(query: SqlQuery, transaction: OpenTransaction | null): Enclosed | null {
    if (transaction !== null && transaction.enclosures >= MOST) return null;
    const isOutside = transaction === null;
    const [plan, builder, place] = [this.#plan, this.#builder, this.#place];
    const enclosed = this.#tools.inlineOutbox.enclose({ plan, builder, place, query, isOutside });
    if (enclosed === null) return null;
    this.#hasEnclosed = true;
    if (transaction !== null) transaction.enclosures += 1;
    return enclosed;
  }

  /** Told what the one statement of a builder returned, and what was enclosed in it. */
  record(returned: Returned, enclosed: Enclosed | null): void {
    if (enclosed !== null) this.#recordEnclosed(enclosed, returned);
    else this.recordTables(returned.transactionId, [{ plan: this.#plan, changes: returned.changes }]);
  }

  /**
   * What is told parts of an answer while it comes, where a statement may return very many rows; `null` elsewhere, and where
   * rows are tracked, since all of them are needed then.
   */
  slicing(transaction: OpenTransaction | null): ((slice: Returned) => void) | null {
    const { queryType, valuesSet, insertFromSelect } = this.#builder.expressionMap;
    const isLong = queryType !== 'insert' || insertFromSelect !== undefined || [valuesSet].flat().length > MANY;
    return isLong && transaction?.isTracked !== true ? (slice) => this.#recordSlice(slice) : null;
  }

  #recordSlice({ changes }: Returned): void {
    const { transactions, recorder } = this.#tools;
    this.#part ??= transactions.newPart();
    if (this.#partFailure !== null) return;
    try {
      recorder.record(this.#part, [{ plan: this.#plan, changes }], (plan) => this.#kindsOf(plan));
    } catch (error) {
      this.#partFailure = { error };
    }
  }

  /** Told what the statements of a strategy changed. */
  recordTables(transactionId: string | null, tables: readonly TableChanges[]): void {
    const { transactions, recorder } = this.#tools;
    const [part, failure] = [this.#part, this.#partFailure];
    this.#part = null;
    this.#partFailure = null;
    transactions.record(this.#runner, transactionId, (transaction) => {
      if (part !== null) transaction.absorb(part);
      if (failure !== null) throw failure.error;
      recorder.record(transaction, tables, (plan) => this.#kindsOf(plan));
    });
  }

  /** {@link finish} has to be called. */
  get isUnfinished(): boolean {
    return this.#isUnfinished;
  }

  /** Finds out the transaction of a statement that returned nothing, though something was enclosed in it. */
  async finish(): Promise<void> {
    this.#isUnfinished = false;
    if (this.#runner !== null) await this.#tools.transactions.identify(this.#runner);
  }

  suspect(): () => void {
    const runner = this.#runner;
    const transaction = runner === null ? undefined : this.#tools.transactions.current(runner);
    const refusal = this.#place.refusal(null);
    transaction?.refuse(refusal);
    return () => transaction?.lift(refusal);
  }

  async check(oid: string): Promise<void> {
    // Without a query runner, the statement itself has refused to go elsewhere.
    const refusal = this.#runner === null ? null : await this.#place.check(oid, this.#runner);
    if (refusal !== null) throw refusal;
  }

  noticeOutdated(error: unknown): Promise<void> {
    return this.#place.noticeOutdated(error);
  }

  /** Whether a statement failed only because something was enclosed in it. */
  noticeUnfit(error: unknown): boolean {
    if (!this.#hasEnclosed) return false;
    // The way that it goes instead tells whether that table is counted after all.
    if (isElsewhere(error)) return true;
    if ((error as { code?: unknown } | null)?.code !== UNSUPPORTED) return false;
    this.#tools.inlineOutbox.distrust(this.#plan);
    return true;
  }

  #recordEnclosed(enclosed: Enclosed, returned: Returned): void {
    const rows = returned.changes.flatMap(({ after }) => (after === null ? [] : [after]));
    if (rows.length > 0) this.#tools.transactions.wake(this.#runner, enclosed.wakeUpsAt(returned));
    if (rows.length > 0 && this.#isAsForeseen(enclosed, rows)) return;
    this.#tools.inlineOutbox.distrust(this.#plan);
    this.#isUnfinished = returned.transactionId === null;
    this.#correct(enclosed, returned.transactionId, rows);
  }

  #isAsForeseen(enclosed: Enclosed, rows: readonly Row[]): boolean {
    if (enclosed.isMadeOf(rows)) return true;
    try {
      return enclosed.isAddedBy(this.#tools.recorder.contributionsOf(this.#plan.counters, rows));
    } catch (error) {
      // It is refused where the difference is recorded.
      if (error instanceof AmountError) return false;
      throw error;
    }
  }

  /** The difference between what was foreseen and what came of it. */
  #correct({ deltas }: Enclosed, transactionId: string | null, rows: readonly Row[]): void {
    const { transactions, recorder } = this.#tools;
    transactions.record(this.#runner, transactionId, (transaction) => {
      for (const delta of deltas) transaction.record({ ...delta, amount: -delta.amount });
      for (const delta of recorder.deltasOf(this.#plan.counters, rows)) transaction.record(delta);
    });
  }

  /** Looked at when the statement is over: a listener may have set a key. */
  #kindsOf(plan: TablePlan): KeyedKinds {
    const isInsert = this.#builder.expressionMap.queryType === 'insert';
    if (!isInsert || plan !== this.#plan) return { made: plan.kinds, others: plan.kinds, areNew: false };
    const keyed = keyedKinds(plan, this.#builder);
    return { made: keyed.filter((kind) => !plan.vouched.has(kind)), others: keyed, areNew: true };
  }
}
