import type { DataSource, EntityMetadata, QueryRunner } from 'typeorm';

import { contributionOf, waitOf } from '../counter/contribution';
import type { Contribution, Counter, Definitions, Row, TargetKind } from '../counter/definition';
import { keyText, targetId } from '../counter/target';
import { captureUpdate, captureUpsert } from './lock-and-read';
import type { OpenTransaction } from './open-transaction';
import { captureCascade, type Cascaded } from './cascade';
import { type CascadeNode, planCascades } from './cascade-plan';
import { isRelevant, keyedKinds, planTables, protectOverwrite, type TablePlan } from './plan';
import { executeReturning, type Returned, type RowChange } from './returning';
import { RunnerLock } from './runner-lock';
import type { Transactions } from './transactions';
import type { WriteBuilder, WriteResult } from './write-builder';

export interface CaptureOptions {
  /** Milliseconds a delta may wait when its counter does not say. */
  readonly wait: number;
  /** Milliseconds until the recalculation after a write when the counter does not say. */
  readonly recalculationDelay: number;
  readonly onUnknownType: (counter: Counter, type: string) => void;
  readonly onError: (error: unknown) => void;
}

/** What is done with a write once it is known in which transaction it runs. */
type Work = (runner: QueryRunner, transaction: OpenTransaction) => Promise<WriteResult>;

/** PostgreSQL 18 returns old rows itself; before, updates lock and read them first. */
const RETURNS_OLD = 18;

/** Turns the writes of one DataSource into deltas of the transactions they run in. */
export class Capture {
  readonly #dataSource: DataSource;
  readonly #transactions: Transactions;
  readonly #options: CaptureOptions;
  readonly #lock = new RunnerLock();
  readonly #plans: ReadonlyMap<EntityMetadata, TablePlan>;
  readonly #cascades: ReadonlyMap<string, CascadeNode>;
  readonly #counterColumns: ReadonlyMap<EntityMetadata, ReadonlySet<string>>;

  constructor(dataSource: DataSource, definitions: Definitions, transactions: Transactions, options: CaptureOptions) {
    this.#dataSource = dataSource;
    this.#transactions = transactions;
    this.#options = options;
    this.#plans = planTables(dataSource, definitions);
    this.#cascades = planCascades(dataSource, definitions);
    this.#counterColumns = definitions.counterColumnsOf;
  }

  /** The hook for `hookWrites`: `null` for writes that feed no counter. */
  hook(builder: WriteBuilder, execute: () => Promise<WriteResult>): Promise<WriteResult> | null {
    const { expressionMap } = builder;
    if (expressionMap.mainAlias?.hasMetadata !== true) return null;
    const { metadata } = expressionMap.mainAlias;
    if (expressionMap.onUpdate !== undefined)
      protectOverwrite(expressionMap, this.#counterColumns.get(metadata) ?? new Set());
    const cascade = expressionMap.queryType === 'delete' ? this.#cascades.get(metadata.tablePath) : undefined;
    const plan = cascade?.plan ?? this.#plans.get(metadata);
    if (plan === undefined || !isRelevant(plan, builder)) return null;
    return this.#onRunner(builder, (runner, transaction) =>
      this.#capture(builder, plan, runner, transaction, async () => {
        if (cascade !== undefined) return captureCascade(runner, builder, cascade, execute);
        return { ...(await this.#execute(builder, plan, runner, execute)), cascaded: [] };
      }),
    );
  }

  async #onRunner(builder: WriteBuilder, work: Work): Promise<WriteResult> {
    const given = builder.queryRunner;
    if (given !== undefined) return this.#lock.run(given, () => this.#inTransaction(given, work));
    const runner = this.#dataSource.createQueryRunner();
    builder.queryRunner = runner;
    try {
      return await this.#inTransaction(runner, work);
    } finally {
      builder.queryRunner = undefined;
      await runner.release();
    }
  }

  /** A statement outside a transaction gets one of its own, so that it is announced before its COMMIT. */
  async #inTransaction(runner: QueryRunner, work: Work): Promise<WriteResult> {
    const open = this.#transactions.current(runner);
    if (open !== undefined) return work(runner, open);
    await runner.startTransaction();
    try {
      const result = await work(runner, this.#begun(runner));
      await runner.commitTransaction();
      return result;
    } catch (error) {
      // As TypeORM does: the first error counts, whatever becomes of the ROLLBACK.
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
  }

  #begun(runner: QueryRunner): OpenTransaction {
    const begun = this.#transactions.current(runner);
    if (begun === undefined)
      throw new Error(
        'typeorm-counter-cache: its subscriber did not see the start of a transaction; is `dataSource.subscribers` replaced after attach?',
      );
    return begun;
  }

  async #capture(
    builder: WriteBuilder,
    plan: TablePlan,
    runner: QueryRunner,
    transaction: OpenTransaction,
    execute: () => Promise<Returned & { readonly cascaded: readonly Cascaded[] }>,
  ): Promise<WriteResult> {
    const keyed = builder.expressionMap.queryType === 'insert' ? keyedKinds(plan, builder) : plan.kinds;
    const { result, changes, transactionId, cascaded } = await execute();
    transaction.id ??= transactionId;
    try {
      this.#recordAll(transaction, plan, keyed, changes);
      for (const table of cascaded) this.#recordAll(transaction, table.plan, table.plan.kinds, table.changes);
    } catch (error) {
      transaction.refuse(error as Error);
      throw error;
    }
    return result;
  }

  #execute(
    builder: WriteBuilder,
    plan: TablePlan,
    runner: QueryRunner,
    execute: () => Promise<WriteResult>,
  ): Promise<Returned> {
    const { queryType, onUpdate } = builder.expressionMap;
    const upsert = queryType === 'insert' && onUpdate !== undefined;
    if (queryType === 'delete' || (queryType === 'insert' && !upsert))
      return executeReturning(builder, plan, 'row', execute);
    if (this.#returnsOld()) return executeReturning(builder, plan, 'old-and-new', execute);
    return upsert ? captureUpsert(runner, builder, plan, execute) : captureUpdate(runner, builder, plan, execute);
  }

  #returnsOld(): boolean {
    const { version } = this.#dataSource.driver as { version?: string };
    return Number.parseInt(version ?? '', 10) >= RETURNS_OLD;
  }

  #recordAll(
    transaction: OpenTransaction,
    plan: TablePlan,
    keyed: readonly TargetKind[],
    changes: readonly RowChange[],
  ): void {
    for (const change of changes) {
      for (const kind of keyed) recordKey(transaction, kind, change);
      for (const counter of plan.counters) this.#record(transaction, counter, change);
    }
  }

  #record(transaction: OpenTransaction, counter: Counter, { before, after }: RowChange): void {
    const old = this.#contribution(counter, before);
    const now = this.#contribution(counter, after);
    if (
      old !== null &&
      now !== null &&
      old.target === now.target &&
      old.column === now.column &&
      old.amount === now.amount
    )
      return;
    if (old !== null && before !== null) this.#add(transaction, old, -old.amount, before);
    if (now !== null && after !== null) this.#add(transaction, now, now.amount, after);
  }

  #contribution(counter: Counter, row: Row | null): Contribution | null {
    return row === null ? null : contributionOf(counter, row, this.#options.onUnknownType);
  }

  #add(transaction: OpenTransaction, { counter, target, column, touch }: Contribution, amount: bigint, row: Row): void {
    const { recalculation, batchSize } = counter;
    transaction.record({
      target,
      column: column.name,
      amount,
      touch: touch?.name ?? null,
      wait: waitOf(counter, row, this.#options.wait, this.#options.onError),
      batchSize: batchSize === null ? 0 : Number(BigInt(batchSize) * 10n ** BigInt(column.scale)),
      recalculateIn: recalculation === false ? null : (recalculation.delay ?? this.#options.recalculationDelay),
    });
  }
}

/** A target that appeared, vanished or changed its key: nothing that is pending for its key may stay as it is. */
function recordKey(transaction: OpenTransaction, kind: TargetKind, { before, after }: RowChange): void {
  const old = before && targetOf(kind, before);
  const now = after && targetOf(kind, after);
  if (old === now) return;
  if (old !== null) transaction.reset(old);
  if (now !== null) transaction.reset(now);
}

function targetOf(kind: TargetKind, row: Row): string | null {
  return targetId(
    kind.id,
    kind.keys.map(({ name, sqlType }) => keyText(row[name], sqlType)),
  );
}
