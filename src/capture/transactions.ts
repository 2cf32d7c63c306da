import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

import type { EntitySubscriberInterface, QueryRunner } from 'typeorm';

import type { Alarm } from '../buffer/buffer';
import type { Durability } from '../durability';
import { transactionIdOf } from '../sql/snapshot';
import { isInTransaction } from './connection-status';
import type { DatedEnd } from './dated-ends';
import type { HandOff } from './hand-off';
import { notifyObserver } from './observed';
import { OpenTransaction, type Outcome } from './open-transaction';
import { Roles } from './roles';
import { Slot } from './slot';
import { type TransactionCommand, transactionCommand } from './transaction-command';
import { doubt, isRefusal, unanswered } from './unanswered';
import { Unsettled } from './unsettled';

/** What following transactions needs of the library around it. */
export interface TransactionsOptions {
  /** How deltas are handed over when their counter does not say. */
  readonly durability: Durability;
  /** Follows paths again as they lead by now; returns the targets of those that lead elsewhere. */
  readonly recheck: (ends: readonly DatedEnd[]) => Promise<readonly string[]>;
  /** What COMMIT is to be rejected with, when what it takes was refused. */
  readonly explain: (error: unknown, runner: QueryRunner) => Promise<unknown>;
  /** A TRUNCATE has succeeded. */
  readonly onTruncate: (sql: string) => void;
  /** Tables may be others from now on: after the statement that changed them, and after its COMMIT. */
  readonly onSchemaChange: () => void;
}

type BeforeQuery = Parameters<NonNullable<EntitySubscriberInterface['beforeQuery']>>[0];
type AfterQuery = Parameters<NonNullable<EntitySubscriberInterface['afterQuery']>>[0];

/**
 * A TypeORM subscriber that follows transactions by their statements, TypeORM's and raw ones alike, and hands off what
 * they captured: right before the COMMIT statement (other subscribers may still write in
 * `beforeTransactionCommit`), settled by what the server answered.
 */
export class Transactions implements EntitySubscriberInterface {
  readonly #handOff: HandOff;
  readonly #options: TransactionsOptions;
  readonly #open = new Slot<QueryRunner, OpenTransaction>();
  /** Whether the transaction that a query runner is in has changed the schema. */
  readonly #changesSchema = new Slot<QueryRunner, boolean>();
  /** Roles that callers have set. */
  readonly roles = new Roles();
  /** Those that have sent a counted statement and are not over. */
  readonly #unsettled = new Unsettled();
  /** Counted statements under way that commit by themselves. */
  #outside = 0;

  constructor(handOff: HandOff, options: TransactionsOptions) {
    this.#handOff = handOff;
    this.#options = options;
  }

  /** The transaction that a query runner is in. */
  current(runner: QueryRunner): OpenTransaction | undefined {
    return this.#open.get(runner);
  }

  /**
   * Follows a transaction from now on: one that is about to begin around a single statement of ours, or one that began
   * before counters were attached.
   */
  adopt(runner: QueryRunner, single = false): OpenTransaction {
    const adopted = this.#expect(runner, single);
    adopted.goOn();
    return adopted;
  }

  /**
   * The transaction to adopt on a query runner that we know of none on: one that began before counters were attached, or by
   * a text that we did not recognise. TypeORM's flag alone would also name one that raw SQL has ended.
   */
  async adoptUnseen(runner: QueryRunner): Promise<OpenTransaction | undefined> {
    const isOpen = (): boolean => isInTransaction(runner) ?? runner.isTransactionActive;
    if (!isOpen()) return undefined;
    // An error is told before the server says what it left behind.
    await runner.query('SELECT 1').catch(() => undefined);
    return isOpen() ? (this.#open.get(runner) ?? this.adopt(runner)) : undefined;
  }

  /**
   * Finds out what became of a BEGIN, COMMIT or ROLLBACK that is not answered: TypeORM tells nobody when another subscriber
   * refuses it. Whatever was sent is answered before this.
   */
  async clarify(runner: QueryRunner, transaction: OpenTransaction): Promise<void> {
    // What was let through a moment ago is sent by then.
    await nextTurn();
    await runner.query('SELECT 1').catch(() => undefined);
    if (this.#open.get(runner) !== transaction || !transaction.isDoubtful) return;
    if (isInTransaction(runner) === false) this.#settle(runner, transaction, 'unknown', false);
    else transaction.goOn();
  }

  /** A transaction that could not begin. */
  forget(runner: QueryRunner, transaction: OpenTransaction): void {
    if (this.#open.get(runner) === transaction) this.#open.set(runner, undefined);
    this.#unsettled.delete(transaction);
  }

  /**
   * Records changes in the transaction they were made in; `id` is the database's. Changes that belong to none, or none that is
   * known (a write that was not awaited, and came after COMMIT) are committed already: their targets are recalculated.
   *
   * @throws what `fill` throws; the transaction cannot be committed then
   */
  record(runner: QueryRunner | null, id: string | null, fill: (transaction: OpenTransaction) => void): void {
    const known = runner === null ? undefined : this.#open.get(runner);
    const transaction = known ?? new OpenTransaction(this.#options.durability);
    // Another id: the end of the transaction we knew was not seen, nor how it ended.
    const forgotten = id === null ? null : transaction.identify(id);
    if (forgotten !== null) this.#handOff.recalculate(forgotten);
    try {
      fill(transaction);
    } catch (error) {
      transaction.refuse(error as Error);
      if (known === undefined) this.#handOff.recalculate(transaction.targets());
      throw error;
    }
    if (known === undefined || runner === null) this.#handOff.recalculate(transaction.targets());
    else this.#unsettled.add(known, runner);
  }

  /** Sets alarms for what a statement wrote to the outbox by itself: once its transaction is committed, or at once. */
  wake(runner: QueryRunner | null, alarms: readonly Alarm[]): void {
    const transaction = runner === null ? undefined : this.#open.get(runner);
    if (transaction === undefined) this.#handOff.wake(alarms);
    else transaction.wake(alarms);
  }

  /**
   * A counted statement is about to be sent, as part of a transaction or by itself: its COMMIT, and {@link drain}, wait until
   * the function that this returns is called.
   */
  enter(transaction: OpenTransaction | null, runner: QueryRunner | null): () => void {
    if (transaction === null || runner === null) {
      this.#outside += 1;
      return () => (this.#outside -= 1);
    }
    this.#unsettled.add(transaction, runner);
    return transaction.enter();
  }

  /** Runs a counted statement as part of a transaction. */
  async during<T>(transaction: OpenTransaction, runner: QueryRunner, work: () => Promise<T>): Promise<T> {
    const leave = this.enter(transaction, runner);
    try {
      return await work();
    } catch (error) {
      doubt(transaction, error);
      throw error;
    } finally {
      leave();
    }
  }

  /** Finds out the id of a transaction that has recorded something of a statement which returned none. */
  async identify(runner: QueryRunner): Promise<void> {
    const transaction = this.#open.get(runner);
    if (transaction === undefined || transaction.id !== null) return;
    try {
      transaction.identify(await transactionIdOf(runner));
    } catch (error) {
      // Without it what was recorded cannot be handed over.
      transaction.refuse(error as Error);
    }
  }

  beforeQuery(event: BeforeQuery): Promise<void> | void {
    const command = transactionCommand(event.query);
    if (command === null) return;
    const { kind } = command;
    const transaction = this.#open.get(event.queryRunner);
    if (kind === 'begin' && transaction === undefined) this.#expect(event.queryRunner, false);
    if (transaction === undefined) return;
    if (kind === 'commit') return this.#beforeCommit(transaction, event.queryRunner);
    if (kind === 'rollback') return this.#beforeRollback(transaction);
  }

  afterQuery(event: AfterQuery): void {
    if (event.success) notifyObserver(event.parameters, event.rawResults);
    if (event.success) this.roles.note(event.queryRunner, event.query, event.parameters);
    const command = transactionCommand(event.query);
    if (command === null) return;
    this.#followSchema(event, command);
    if (command.kind === 'truncate') {
      if (event.success) this.#options.onTruncate(event.query);
    } else if (command.kind === 'commit') this.#committed(event, command.chain);
    else if (event.success || isFollowedUnanswered(event, command)) this.#follow(event.queryRunner, command);
    else if (command.kind === 'begin') this.#open.set(event.queryRunner, undefined);
    else if (command.kind === 'rollback') this.#open.get(event.queryRunner)?.goOn();
    else if (command.kind === 'rollback-to' && !isRefusal(event.error))
      this.#open.get(event.queryRunner)?.refuse(unanswered(event.error));
  }

  /** Resolves when everything that has sent a counted statement is over, or announced after `limit` ms. */
  async drain(limit: number): Promise<void> {
    const end = performance.now() + limit;
    // A connection that broke takes its query runner with it: nothing more is heard of its transaction.
    const areOpen = (): boolean => this.#outside > 0 || this.#unsettled.list().some(({ runner }) => !runner.isReleased);
    while (areOpen() && performance.now() < end) await delay(5);
    // Should they commit unobserved, the sweep finds their intents, and heals behind a barrier. One whose COMMIT is held up
    // hands over already: a second time beside that, it would be counted twice.
    for (const { transaction } of this.#unsettled.list())
      if (!transaction.isEnding && transaction.preparing === null)
        await this.#inTurn(transaction, () => this.#handOff.prepare(transaction, null));
  }

  #expect(runner: QueryRunner, single: boolean): OpenTransaction {
    const expected = new OpenTransaction(this.#options.durability, single);
    this.#open.set(runner, expected);
    return expected;
  }

  #beforeCommit(transaction: OpenTransaction, runner: QueryRunner): Promise<void> | undefined {
    if (transaction.isIdle && transaction.preparing === null) {
      transaction.startEnding();
      return undefined;
    }
    return this.#inTurn(transaction, () => this.#prepare(transaction, runner));
  }

  /** One preparation after the other: what the first wrote to the outbox is not to be written again. */
  #inTurn(transaction: OpenTransaction, prepare: () => Promise<void>): Promise<void> {
    const prepared = transaction.preparing?.then(prepare) ?? prepare();
    const finish = (): void => {
      if (transaction.preparing === over) transaction.preparing = null;
    };
    const over = prepared.then(finish, finish);
    transaction.preparing = over;
    return prepared;
  }

  /** Statements under way are part of the transaction: behind ROLLBACK they would commit by themselves. */
  #beforeRollback(transaction: OpenTransaction): Promise<void> | undefined {
    if (transaction.hasStatements) return this.#startEndingOnceIdle(transaction);
    transaction.startEnding();
    return undefined;
  }

  async #startEndingOnceIdle(transaction: OpenTransaction): Promise<void> {
    while (transaction.hasStatements) await transaction.idle();
    transaction.startEnding();
  }

  /** Hands over all that is captured when COMMIT is sent: statements under way are part of the transaction. */
  async #prepare(transaction: OpenTransaction, runner: QueryRunner): Promise<void> {
    if (transaction.isEnding || transaction.outcome !== null) return;
    let prepared: number;
    do {
      if (transaction.hasStatements) await transaction.idle();
      if (transaction.refusal !== null) throw transaction.refusal;
      if (transaction.isDated) await this.#recheck(transaction);
      prepared = transaction.version;
      try {
        await this.#handOff.prepare(transaction, runner);
      } catch (error) {
        // A COMMIT that is sent again would write to the outbox a second time.
        doubt(transaction, error);
        throw await this.#options.explain(error, runner);
      }
    } while (transaction.version !== prepared || transaction.isRunning || transaction.isDated);
    transaction.startEnding();
  }

  async #recheck(transaction: OpenTransaction): Promise<void> {
    const ends = transaction.takeDated();
    try {
      for (const target of await this.#options.recheck(ends)) transaction.heal(target);
    } catch (error) {
      // For a COMMIT that is sent again.
      transaction.recheck(ends);
      throw error;
    }
  }

  /** Others see a change of the schema only after its COMMIT. */
  #followSchema({ queryRunner: runner, success }: AfterQuery, { kind }: TransactionCommand): void {
    if (kind === 'schema-change') {
      if (success) this.#options.onSchemaChange();
      this.#changesSchema.set(runner, success);
    } else if (kind === 'commit' && this.#changesSchema.get(runner) === true) {
      this.#changesSchema.set(runner, undefined);
      this.#options.onSchemaChange();
    }
  }

  #follow(runner: QueryRunner, command: TransactionCommand): void {
    const transaction = this.#open.get(runner);
    switch (command.kind) {
      case 'savepoint':
        transaction?.savepoint(command.name);
        break;
      case 'release':
        transaction?.release(command.name);
        break;
      case 'rollback-to':
        transaction?.rollbackTo(command.name);
        break;
      case 'rollback':
        if (transaction !== undefined) this.#settle(runner, transaction, 'rolled back', command.chain);
        break;
      case 'begin':
        transaction?.goOn();
        break;
      case 'commit':
      case 'truncate':
      case 'schema-change':
    }
  }

  #committed(event: AfterQuery, chain: boolean): void {
    const transaction = this.#open.get(event.queryRunner);
    // After an SQL error the caller still sends ROLLBACK, yet nothing can be captured in between.
    if (transaction !== undefined)
      this.#settle(event.queryRunner, transaction, commitOutcome(event), chain && event.success);
  }

  #settle(runner: QueryRunner, transaction: OpenTransaction, outcome: Outcome, chain: boolean): void {
    this.#open.set(runner, undefined);
    this.roles.end(runner);
    if (chain) this.adopt(runner);
    this.#unsettled.delete(transaction);
    transaction.endWith(outcome);
    if (outcome !== 'rolled back') this.#handOff.wake(transaction.alarms);
    if (transaction.isIdle) return;
    // What was handed over is not what was committed: a ROLLBACK TO SAVEPOINT was not awaited, or COMMIT was held up.
    const isOutrun = outcome === 'committed' && transaction.isOutrun;
    if (outcome === 'committed' && !isOutrun) this.#handOff.confirm(transaction);
    if (outcome === 'rolled back' || isOutrun) this.#handOff.discard(transaction);
    if (isOutrun) this.#handOff.recalculate(transaction.targets());
    if (outcome === 'unknown') this.#handOff.leave(transaction);
  }
}

/**
 * PostgreSQL answers COMMIT with ROLLBACK when a statement of the transaction had failed. A lost connection, a time-out
 * or a FATAL error leaves the outcome unknown: the intent stays, and the sweep heals its targets.
 */
function commitOutcome(event: AfterQuery): Outcome {
  if (event.success)
    return (event.rawResults as { command?: string } | undefined)?.command === 'ROLLBACK' ? 'rolled back' : 'committed';
  return isRefusal(event.error) ? 'rolled back' : 'unknown';
}

/** A savepoint that may be there is as good as one that is: to go back to one that is not is refused by the server. */
function isFollowedUnanswered({ error }: AfterQuery, { kind }: TransactionCommand): boolean {
  return kind === 'savepoint' && !isRefusal(error);
}
