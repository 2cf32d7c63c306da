import { setImmediate as nextTurn } from 'node:timers/promises';

import type { EntitySubscriberInterface, QueryRunner } from 'typeorm';

import type { WakeUp } from '../../model/pending';
import { transactionIdOf } from '../../dialects/postgres/snapshot';
import { answered, closeConnection, isBusy, isInTransaction } from '../../typeorm/connection-status';
import type { Publisher } from './publisher';
import { heardOn } from '../../typeorm/heard';
import { inTurn } from './in-turn';
import { notifyObserver } from '../observed';
import { OpenTransaction, type Outcome } from './open-transaction';
import { Roles } from './roles';
import { Slot } from '../../model/slot';
import { type TransactionCommand, transactionCommand } from './transaction-command';
import { commitOutcome, putInDoubt, giveUp, isRefusal } from './unanswered';
import { ActiveTransactions } from './active-transactions';
import type { TransactionsOptions } from './transactions-options';

type BeforeQuery = Parameters<NonNullable<EntitySubscriberInterface['beforeQuery']>>[0];
type AfterQuery = Parameters<NonNullable<EntitySubscriberInterface['afterQuery']>>[0];

/**
 * A TypeORM subscriber that follows transactions by their statements, TypeORM's and raw ones alike, and hands off what
 * they captured: right before the COMMIT statement (other subscribers may still write in
 * `beforeTransactionCommit`), settled by what the server answered.
 */
export class Transactions implements EntitySubscriberInterface {
  readonly #publisher: Publisher;
  readonly #options: TransactionsOptions;
  readonly #open = new Slot<QueryRunner, OpenTransaction>();
  /** Roles that callers have set. */
  readonly roles = new Roles();
  /** Those that have sent a counted statement and are not over. */
  readonly #active = new ActiveTransactions();
  /** Query runners on whose connection an answer was given up: it may come yet. */
  readonly #unanswered = new Slot<QueryRunner, true>();
  /** Counted statements under way that commit by themselves. */
  #outside = 0;
  #retired: (() => void) | null = null;

  constructor(publisher: Publisher, options: TransactionsOptions) {
    this.#publisher = publisher;
    this.#options = options;
  }

  /** The transaction that a query runner is in. */
  current(runner: QueryRunner): OpenTransaction | undefined {
    const transaction = this.#open.get(runner);
    if (transaction === undefined || !transaction.isOver(heardOn(runner))) return transaction;
    this.#settle(runner, transaction, 'unseen', false);
    return undefined;
  }

  /**
   * Follows a transaction from now on: one that is about to begin around a single statement of ours, or one that began
   * before counters were attached.
   */
  adopt(runner: QueryRunner, single = false): OpenTransaction {
    const adopted = this.#expect(runner, single);
    if (single) adopted.resume();
    else adopted.begin(heardOn(runner));
    return adopted;
  }

  /**
   * The transaction to adopt on a query runner that we know of none on: one that began before counters were attached, or by
   * a text that we did not recognise. TypeORM's flag alone would also name one that raw SQL has ended.
   */
  async adoptUnseen(runner: QueryRunner): Promise<OpenTransaction | undefined> {
    const isOpen = (): boolean => isInTransaction(runner) ?? runner.isTransactionActive;
    if (!isOpen()) return undefined;
    // An error is emitted before the server says what it left behind.
    await runner.query('SELECT 1').catch(() => undefined);
    return isOpen() ? (this.#open.get(runner) ?? this.adopt(runner)) : undefined;
  }

  /**
   * Finds out what became of a BEGIN, COMMIT or ROLLBACK that is not answered: TypeORM reports nothing when another subscriber
   * refuses it. All that was sent is answered before this.
   */
  async clarify(runner: QueryRunner, transaction: OpenTransaction): Promise<void> {
    // What was let through a moment ago is sent by then.
    await nextTurn();
    await runner.query('SELECT 1').catch(() => undefined);
    if (this.#open.get(runner) !== transaction || !transaction.isInDoubt) return;
    if (isInTransaction(runner) !== false) transaction.resume();
    else this.#settle(runner, transaction, transaction.state === 'rolling back' ? 'unseen' : 'unknown', false);
  }

  /** A transaction that could not begin. */
  forget(runner: QueryRunner, transaction: OpenTransaction): void {
    if (this.#open.get(runner) === transaction) this.#open.set(runner, undefined);
    this.#active.delete(transaction);
  }

  /**
   * Records changes in the transaction they were made in; `id` is the database's. Changes that belong to none, or none that is
   * known (a write that was not awaited, and came after COMMIT) are committed already: their targets are recalculated.
   *
   * @throws what `fill` throws; the transaction cannot be committed then
   */
  record(runner: QueryRunner | null, id: string | null, fill: (transaction: OpenTransaction) => void): void {
    const known = runner === null ? undefined : this.#open.get(runner);
    const transaction = known ?? new OpenTransaction(this.#options.mode);
    // Another id: the end of the transaction we knew was not seen, nor how it ended.
    const forgotten = id === null ? null : transaction.identify(id);
    if (forgotten !== null) this.#publisher.recalculate(forgotten);
    try {
      fill(transaction);
    } catch (error) {
      transaction.refuse(error as Error);
      if (known === undefined) this.#publisher.recalculate(transaction.targets());
      throw error;
    }
    if (known === undefined || runner === null) this.#publisher.recalculate(transaction.targets());
    else this.#active.add(known, runner);
  }

  /** Sets wake-ups for what a statement wrote to the outbox by itself: once its transaction is committed, or at once. */
  wake(runner: QueryRunner | null, wakeUps: readonly WakeUp[]): void {
    const transaction = runner === null ? undefined : this.#open.get(runner);
    if (transaction === undefined) this.#publisher.wake(wakeUps);
    else transaction.wake(wakeUps);
  }

  /**
   * A counted statement is about to be sent, as part of a transaction or by itself: its COMMIT, and {@link retire}, wait until
   * the function that this returns is called.
   */
  enter(transaction: OpenTransaction | null, runner: QueryRunner | null): () => void {
    if (transaction === null || runner === null) {
      this.#outside += 1;
      return () => {
        this.#outside -= 1;
        this.#stopIfRetired();
      };
    }
    this.#active.add(transaction, runner);
    return transaction.enter();
  }

  /** Runs a counted statement as part of a transaction. */
  async during<T>(transaction: OpenTransaction, runner: QueryRunner, work: () => Promise<T>): Promise<T> {
    const leave = this.enter(transaction, runner);
    try {
      return await work();
    } catch (error) {
      putInDoubt(transaction, error);
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
      // Without it what was recorded cannot be published.
      transaction.refuse(error as Error);
    }
  }

  beforeQuery(event: BeforeQuery): Promise<void> | void {
    const { queryRunner: runner } = event;
    const transaction = this.current(runner);
    const command = transactionCommand(event.query);
    if (command === null) return;
    const { kind } = command;
    if (transaction === undefined) {
      if (kind === 'begin') this.#expect(runner, false);
    } else if (transaction.state === 'rolling back' && (kind === 'begin' || kind === 'commit')) {
      return this.#afterRollback(event, transaction);
    } else if (kind === 'commit') return this.#beforeCommit(transaction, runner);
    else if (kind === 'rollback') return this.#beforeRollback(transaction);
  }

  afterQuery(event: AfterQuery): Promise<void> | void {
    const { queryRunner: runner, success } = event;
    const error: unknown = event.error;
    if (success) notifyObserver(event.parameters, event.rawResults);
    else if (!isRefusal(error)) this.#unanswered.set(runner, true);
    if (success) this.roles.note(runner, event.query, event.parameters);
    const command = transactionCommand(event.query);
    if (command === null) return;
    if (command.kind === 'truncate') {
      if (success) this.#options.onTruncate(event.query);
    } else if (command.kind === 'schema-change') {
      // One that was given up may be done yet.
      if (success || !isRefusal(error)) this.#schemaChanged(runner);
    } else if (command.kind === 'commit') return this.#committed(event, command.chain);
    else if (success) this.#follow(runner, command);
    else this.#failed(runner, command, error);
  }

  /**
   * Whether a query runner may not give its connection back to the pool as it is: it is in a transaction, or may be. Then
   * {@link beforeRelease} has to be awaited first.
   */
  isHeld(runner: QueryRunner): boolean {
    return this.#open.get(runner) !== undefined || isInTransaction(runner) === true;
  }

  /**
   * Sees to it that no connection goes back to the pool in a transaction: the next caller would commit what another
   * has rolled back. What was not awaited is answered first; a connection that is still in a transaction then, or owes an
   * answer that was given up, is closed, and the database rolls back.
   */
  async beforeRelease(runner: QueryRunner): Promise<void> {
    await this.#allAnswered(runner);
    const transaction = this.current(runner);
    const isOpen = isInTransaction(runner) ?? transaction !== undefined;
    if (isOpen || isBusy(runner)) closeConnection(runner);
    // A COMMIT that was sent and not awaited fails by that, and is not known to have failed.
    if (transaction !== undefined && !(transaction.isEnding && isBusy(runner)))
      this.#settle(runner, transaction, isOpen ? 'rolled back' : 'unseen', false);
  }

  /** Resolves when nothing of a query runner's is under way any more but what was given up. */
  async #allAnswered(runner: QueryRunner): Promise<void> {
    for (;;) {
      // What was let through a moment ago is sent by then, and what was answered is seen.
      await nextTurn();
      const preparing = this.#open.get(runner)?.preparing ?? null;
      if (preparing !== null) await preparing;
      else if (isBusy(runner) && this.#unanswered.get(runner) !== true) await answered(runner);
      else return;
    }
  }

  /** Has `stop` called, which ends the following, once no transaction is left that has sent a counted statement. */
  retire(stop: () => void): void {
    this.#retired = stop;
    this.#stopIfRetired();
  }

  #stopIfRetired(): void {
    // A connection that broke takes its query runner with it: nothing more is heard of its transaction.
    if (this.#retired === null || this.#outside > 0) return;
    if (this.#active.list().some(({ runner }) => !runner.isReleased)) return;
    // TypeORM may be going through its subscribers: those behind would be passed over.
    queueMicrotask(this.#retired);
    this.#retired = null;
  }

  #expect(runner: QueryRunner, single: boolean): OpenTransaction {
    const expected = new OpenTransaction(this.#options.mode, single);
    this.#open.set(runner, expected);
    return expected;
  }

  /** A ROLLBACK was not answered, or not sent, and may have been done: that is found out before anything else begins or ends. */
  async #afterRollback(event: BeforeQuery, transaction: OpenTransaction): Promise<void> {
    await this.clarify(event.queryRunner, transaction);
    await this.beforeQuery(event);
  }

  #failed(runner: QueryRunner, command: TransactionCommand, error: unknown): void {
    const { kind } = command;
    const transaction = this.#open.get(runner);
    const isRefused = isRefusal(error);
    if (kind === 'begin' && isRefused) this.#open.set(runner, undefined);
    // One that was given up may be done yet.
    else if (kind === 'rollback' && isRefused) transaction?.resume();
    else if (!isRefused && transaction !== undefined) giveUp(transaction, command, error);
  }

  #beforeCommit(transaction: OpenTransaction, runner: QueryRunner): Promise<void> | undefined {
    if (transaction.isIdle && transaction.preparing === null) {
      transaction.startEnding('committing');
      return undefined;
    }
    return inTurn(transaction, () => this.#prepare(transaction, runner));
  }

  /** Statements under way are part of the transaction: behind ROLLBACK they would commit by themselves. */
  #beforeRollback(transaction: OpenTransaction): Promise<void> | undefined {
    if (transaction.hasStatements) return this.#rollBackOnceIdle(transaction);
    transaction.startEnding('rolling back');
    return undefined;
  }

  async #rollBackOnceIdle(transaction: OpenTransaction): Promise<void> {
    while (transaction.hasStatements) await transaction.idle();
    transaction.startEnding('rolling back');
  }

  /** Hands over all that is captured when COMMIT is sent: statements under way are part of the transaction. */
  async #prepare(transaction: OpenTransaction, runner: QueryRunner): Promise<void> {
    if (transaction.state !== 'open' && transaction.state !== 'beginning') return;
    let prepared: number;
    do {
      if (transaction.hasStatements) await transaction.idle();
      if (transaction.isDisturbed(heardOn(runner))) transaction.repairAll();
      if (transaction.refusal !== null) throw transaction.refusal;
      if (transaction.isDated) await this.#recheck(transaction);
      prepared = transaction.version;
      try {
        await this.#publisher.prepare(transaction, runner);
      } catch (error) {
        // A COMMIT that is sent again would write to the outbox a second time.
        putInDoubt(transaction, error);
        throw await this.#options.explain(error, runner);
      }
    } while (transaction.version !== prepared || transaction.isRunning || transaction.isDated);
    transaction.startEnding('committing');
  }

  async #recheck(transaction: OpenTransaction): Promise<void> {
    const ends = transaction.takeDated();
    try {
      transaction.repair(await this.#options.recheck(ends));
    } catch (error) {
      // For a COMMIT that is sent again.
      transaction.recheck(ends);
      throw error;
    }
  }

  /** Others see it once it is committed; the transaction itself, at once. */
  #schemaChanged(runner: QueryRunner): void {
    const transaction = this.current(runner) ?? (isInTransaction(runner) === true ? this.adopt(runner) : undefined);
    if (transaction === undefined) {
      this.#options.onSchemaChange();
      return;
    }
    transaction.changeSchema();
    const heard = heardOn(runner);
    // It may be committed unseen: by a text whose first command is another, say.
    if (heard !== null) heard.onEnd = this.#options.onSchemaChange;
  }

  #follow(runner: QueryRunner, command: TransactionCommand): void {
    const transaction = this.#open.get(runner);
    if (command.kind !== 'begin') transaction?.follow();
    switch (command.kind) {
      case 'savepoint':
        transaction?.savepoint(command.name);
        break;
      case 'release':
        transaction?.release(command.name);
        break;
      case 'rollback-to':
        // To which of several of that name is not known then.
        if (transaction?.isDisturbed(heardOn(runner)) === true) transaction.repairAll();
        transaction?.rollbackTo(command.name);
        break;
      case 'rollback':
        if (transaction !== undefined) this.#settle(runner, transaction, 'rolled back', command.chain);
        break;
      case 'begin':
        transaction?.begin(heardOn(runner));
        break;
      case 'commit':
      case 'truncate':
      case 'schema-change':
    }
  }

  #committed(event: AfterQuery, chain: boolean): Promise<void> | undefined {
    const transaction = this.#open.get(event.queryRunner);
    if (transaction === undefined) return undefined;
    const hasCaptured = !transaction.isIdle || transaction.wakeUps.length > 0;
    // After an SQL error the caller still sends ROLLBACK, yet nothing can be captured in between.
    this.#settle(event.queryRunner, transaction, commitOutcome(event), chain && event.success);
    return hasCaptured ? this.#options.afterCommit?.() : undefined;
  }

  #settle(runner: QueryRunner, transaction: OpenTransaction, outcome: Outcome, chain: boolean): void {
    this.#open.set(runner, undefined);
    this.roles.end(runner);
    if (chain) this.adopt(runner);
    this.#active.delete(transaction);
    if (outcome === 'unseen' && !transaction.isTracked && transaction.refusal !== null)
      this.#options.onUnseen(transaction.refusal);
    transaction.endWith(outcome);
    if (transaction.schemaVersion > 0 && outcome !== 'rolled back') this.#options.onSchemaChange();
    this.#stopIfRetired();
    if (outcome !== 'rolled back') this.#publisher.wake(transaction.wakeUps);
    if (transaction.isIdle) return;
    // What was published is not what was committed: a ROLLBACK TO SAVEPOINT was not awaited, or COMMIT was held up.
    const changedAfterPublishing = outcome === 'committed' && transaction.changedAfterPublishing;
    if (outcome === 'committed' && !changedAfterPublishing) this.#publisher.confirm(transaction);
    if (outcome === 'rolled back' || outcome === 'unseen' || changedAfterPublishing)
      this.#publisher.discard(transaction);
    // Not before it is over everywhere: it may have been ended by PREPARE TRANSACTION.
    if (outcome === 'unseen')
      this.#publisher.recalculate(transaction.everyTarget().map((target) => ({ target, repair: true })));
    if (changedAfterPublishing) this.#publisher.recalculate(transaction.targets());
    if (outcome === 'unknown') this.#publisher.leave(transaction);
  }
}
