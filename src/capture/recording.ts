import type { QueryRunner } from 'typeorm';

import type { Row } from '../model/definition';
import { AmountError } from '../errors';
import { isElsewhere } from '../dialects/postgres/outbox/enclose';
import type { SqlQuery } from '../dialects/postgres/query';
import type { Enclosed, InlineOutbox } from './inline-outbox/inline-outbox';
import type { OpenTransaction } from './transaction/open-transaction';
import type { Place } from './place';
import { CapturedChanges } from './transaction/captured-changes';
import { keyedTables, type TablePlan } from './plan';
import type { DeltaCalculator, KeyedTables } from './delta-calculator';
import type { Returned } from './returning';
import type { TableChanges } from './statement';
import type { Transactions } from './transaction/transactions';
import type { WriteBuilder } from '../typeorm/write-builder';

/** What recording works with. */
export interface RecordingTools {
  readonly transactions: Transactions;
  readonly calculator: DeltaCalculator;
  readonly inlineOutbox: InlineOutbox;
}

/**
 * Statements of one transaction that enclose their deltas. Each costs the database about a third of the one statement that
 * writes the sums of all others before COMMIT.
 */
const MAX_ENCLOSURES = 3;

/** Rows to be inserted whose answers are looked at while they come. */
const MANY = 500;

/** PostgreSQL: feature_not_supported. A rule turns the INSERT into several statements, which no WITH may stand before. */
const UNSUPPORTED = '0A000';

/** Records what one builder's execution changes. */
export class Recording {
  readonly #tools: RecordingTools;
  readonly #builder: WriteBuilder;
  readonly #runner: QueryRunner | null;
  readonly #plan: TablePlan;
  readonly #place: Place;
  /** What was captured of parts of an answer that is still coming. */
  #part: CapturedChanges | null = null;
  #isUnfinished = false;

  /** Without a query runner, for a statement that is in no transaction. */
  constructor(tools: RecordingTools, builder: WriteBuilder, runner: QueryRunner | null, plan: TablePlan, place: Place) {
    this.#place = place;
    this.#tools = tools;
    this.#builder = builder;
    this.#runner = runner;
    this.#plan = plan;
  }

  /** The same of a statement that is in no transaction. */
  outside(): Recording {
    return new Recording(this.#tools, this.#builder, null, this.#plan, this.#place);
  }

  /** Encloses deltas in a statement that is about to be sent; `null` when they have to go another way. */
  enclose(query: SqlQuery): Enclosed | null {
    const isOutside = this.#runner === null;
    const transaction = this.#transaction;
    if (!isOutside && (transaction === null || transaction.isSingle || transaction.enclosures >= MAX_ENCLOSURES))
      return null;
    const [plan, builder, place] = [this.#plan, this.#builder, this.#place];
    const enclosed = this.#tools.inlineOutbox.enclose({ plan, builder, place, query, isOutside });
    if (enclosed !== null && transaction !== null) transaction.enclosures += 1;
    return enclosed;
  }

  get #transaction(): OpenTransaction | null {
    return (this.#runner && this.#tools.transactions.current(this.#runner)) ?? null;
  }

  /**
   * What receives parts of an answer while it comes, where a statement may return very many rows; `null` elsewhere, and where
   * rows are tracked, since all of them are needed then.
   */
  slicing(): ((slice: Returned) => void) | null {
    const { queryType, valuesSet, insertFromSelect } = this.#builder.expressionMap;
    const isLong = queryType !== 'insert' || insertFromSelect !== undefined || [valuesSet].flat().length > MANY;
    return isLong && this.#transaction?.isTracked !== true ? (slice) => this.#recordSlice(slice) : null;
  }

  #recordSlice({ changes }: Returned): void {
    this.#part ??= new CapturedChanges();
    this.#part.addAll(this.#deltasOf([{ plan: this.#plan, changes }]));
  }

  /** Records what the statements of a strategy changed. */
  recordTables(transactionId: string | null, tables: readonly TableChanges[]): void {
    const captured = this.#part ?? new CapturedChanges();
    this.#part = null;
    this.#record(transactionId, tables, captured);
  }

  /** Records what is captured so far together with what changed. */
  #record(transactionId: string | null, tables: readonly TableChanges[], captured: CapturedChanges): void {
    captured.addAll(this.#deltasOf(tables));
    this.#tools.transactions.record(this.#runner, transactionId, (transaction) => {
      transaction.keep(tables);
      transaction.record(captured);
    });
    if (captured.refusal !== null) throw captured.refusal;
  }

  #deltasOf(tables: readonly TableChanges[]): CapturedChanges {
    return this.#tools.calculator.deltasOf(tables, (plan) => this.#targetTablesOf(plan));
  }

  /** Finds out the transaction of a statement that returned nothing, though something was enclosed in it. */
  async finish(): Promise<void> {
    if (!this.#isUnfinished) return;
    this.#isUnfinished = false;
    if (this.#runner !== null) await this.#tools.transactions.identify(this.#runner);
  }

  /**
   * The statement may have changed rows of another table than the one that is counted: keeps its transaction from COMMIT, at
   * once. Returns what lifts that.
   */
  suspect(): () => void {
    const transaction = this.#transaction;
    const refusal = this.#place.refusal(null);
    transaction?.refuse(refusal);
    return () => transaction?.lift(refusal);
  }

  /** @throws when the rows with this oid are not counted, or that is not known */
  async check(oid: string): Promise<void> {
    // Without a query runner, the statement itself has refused to go elsewhere.
    const refusal = this.#runner === null ? null : await this.#place.check(oid, this.#runner);
    if (refusal !== null) throw refusal;
  }

  /** A statement failed. */
  noticeOutdated(error: unknown): Promise<void> {
    return this.#place.noticeOutdated(error);
  }

  /** Whether a statement failed only because something was enclosed in it: it can be sent another way, which returns more. */
  isUnfit(error: unknown): boolean {
    return isElsewhere(error) || isUnsupported(error);
  }

  /** A statement failed in which something was enclosed. */
  noticeUnfit(error: unknown): void {
    if (isUnsupported(error)) this.#tools.inlineOutbox.disable(this.#plan);
  }

  /** Records what a statement returned in which deltas were enclosed. */
  recordEnclosed(enclosed: Enclosed, returned: Returned): void {
    const rows = returned.changes.flatMap(({ after }) => (after === null ? [] : [after]));
    if (rows.length > 0) this.#tools.transactions.wake(this.#runner, enclosed.wakeUpsAt(returned));
    if (rows.length > 0 && this.#isAsPredicted(enclosed, rows)) return;
    this.#tools.inlineOutbox.disable(this.#plan);
    this.#isUnfinished = returned.transactionId === null;
    // The difference between what was predicted and what came of it.
    const captured = new CapturedChanges();
    for (const delta of enclosed.deltas) captured.add({ ...delta, amount: -delta.amount });
    this.#record(returned.transactionId, [{ plan: this.#plan, changes: returned.changes }], captured);
  }

  #isAsPredicted(enclosed: Enclosed, rows: readonly Row[]): boolean {
    if (enclosed.isMadeOf(rows)) return true;
    try {
      return enclosed.isAddedBy(this.#tools.calculator.contributionsOf(this.#plan.counters, rows));
    } catch (error) {
      // It is refused where the difference is recorded.
      if (error instanceof AmountError) return false;
      throw error;
    }
  }

  /** Looked at when the statement is over: a listener may have set a key. */
  #targetTablesOf(plan: TablePlan): KeyedTables {
    const isInsert = this.#builder.expressionMap.queryType === 'insert';
    if (!isInsert || plan !== this.#plan) return { made: plan.targetTables, others: plan.targetTables, areNew: false };
    const keyed = keyedTables(plan, this.#builder);
    return { made: keyed.filter((targetTable) => !plan.vouched.has(targetTable)), others: keyed, areNew: true };
  }
}

function isUnsupported(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === UNSUPPORTED;
}
