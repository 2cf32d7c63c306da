import type { EntitySubscriberInterface, QueryRunner } from 'typeorm';

import type { HandOff } from './hand-off';
import { OpenTransaction } from './open-transaction';
import { type TransactionCommand, transactionCommand } from './transaction-command';

type BeforeQuery = Parameters<NonNullable<EntitySubscriberInterface['beforeQuery']>>[0];
type AfterQuery = Parameters<NonNullable<EntitySubscriberInterface['afterQuery']>>[0];

/**
 * A TypeORM subscriber that follows transactions by their statements, TypeORM's and raw ones alike, and hands off what
 * they captured: announced right before the COMMIT statement (other subscribers may still write in
 * `beforeTransactionCommit`), settled by what the server answered.
 */
export class Transactions implements EntitySubscriberInterface {
  readonly #handOff: HandOff;
  readonly #open = new WeakMap<QueryRunner, OpenTransaction>();

  constructor(handOff: HandOff) {
    this.#handOff = handOff;
  }

  /** The transaction that a query runner is in. */
  current(runner: QueryRunner): OpenTransaction | undefined {
    return this.#open.get(runner);
  }

  beforeQuery(event: BeforeQuery): Promise<void> | void {
    const command = transactionCommand(event.query);
    if (command?.kind !== 'commit') return;
    const transaction = this.#open.get(event.queryRunner);
    if (transaction === undefined) return;
    if (transaction.refusal !== null) return Promise.reject(transaction.refusal);
    return this.#handOff.announce(transaction);
  }

  afterQuery(event: AfterQuery): void {
    const command = transactionCommand(event.query);
    if (command === null) return;
    if (command.kind === 'commit') this.#committed(event);
    else if (event.success) this.#follow(event.queryRunner, command);
  }

  #follow(runner: QueryRunner, command: TransactionCommand): void {
    const transaction = this.#open.get(runner);
    switch (command.kind) {
      case 'begin':
        // A BEGIN inside a transaction is a warning and changes nothing; one that we still know of was never ended.
        this.#open.set(runner, new OpenTransaction());
        break;
      case 'savepoint':
        transaction?.savepoint(command.name);
        break;
      case 'release':
        transaction?.release(command.name);
        break;
      case 'rollback-to':
        transaction?.rollbackTo(command.name);
        break;
      case 'commit':
      case 'rollback':
        this.#open.delete(runner);
        if (transaction !== undefined) this.#handOff.discard(transaction);
    }
  }

  #committed(event: AfterQuery): void {
    const transaction = this.#open.get(event.queryRunner);
    if (transaction === undefined) return;
    const outcome = commitOutcome(event);
    // After an SQL error the caller still sends ROLLBACK, yet nothing can be captured in between.
    this.#open.delete(event.queryRunner);
    if (outcome === 'committed') this.#handOff.confirm(transaction);
    if (outcome === 'rolled back') this.#handOff.discard(transaction);
  }
}

/**
 * PostgreSQL answers COMMIT with ROLLBACK when a statement of the transaction had failed. A lost connection, a time-out
 * or a FATAL error leaves the outcome unknown: the intent stays, and the sweep heals its targets.
 */
function commitOutcome(event: AfterQuery): 'committed' | 'rolled back' | 'unknown' {
  if (event.success)
    return (event.rawResults as { command?: string } | undefined)?.command === 'ROLLBACK' ? 'rolled back' : 'committed';
  const { severity, code } = (event.error ?? {}) as { severity?: string; code?: string };
  return severity === 'ERROR' && /^[0-9A-Z]{5}$/.test(code ?? '') ? 'rolled back' : 'unknown';
}
