import type { QueryRunner } from 'typeorm';

import { Slot } from '../../model/slot';
import type { TransactionCommand } from './transaction-command';

/** Notices when tables may be others: after the statement that changed them, and after its COMMIT, before which others do not see it. */
export class SchemaChanges {
  readonly #onChange: () => void;
  /** Whether the transaction that a query runner is in has changed the schema. */
  readonly #changed = new Slot<QueryRunner, boolean>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Receives every command that was answered. */
  follow(runner: QueryRunner, { kind }: TransactionCommand, success: boolean): void {
    if (kind === 'schema-change') {
      if (success) this.#onChange();
      this.#changed.set(runner, success);
    } else if (kind === 'commit' && this.#changed.get(runner) === true) {
      this.#changed.set(runner, undefined);
      this.#onChange();
    }
  }
}
