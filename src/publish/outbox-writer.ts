import type { QueryRunner } from 'typeorm';

import type { WakeUp } from '../model/pending';
import { type OutboxDelta, type Replacement, writeOutbox } from '../dialects/postgres/outbox/write-outbox';
import { undoSavepoint } from '../dialects/postgres/savepoint';
import type { TablePaths } from '../dialects/postgres/installation/tables';
import { exclusively } from '../capture/transaction/exclusive';

/** PostgreSQL: in_failed_sql_transaction. COMMIT will be answered with ROLLBACK. */
const ABORTED = '25P02';

const SAVEPOINT = 'counter_cache_outbox';

/** What writing to the outbox needs. */
export interface OutboxTools extends Pick<Replacement, 'window'> {
  readonly tables: TablePaths;
}

/** Writes one transaction's deltas to the outbox, inside that transaction; again when more was captured meanwhile. */
export class OutboxWriter {
  readonly #transactionId: string;
  readonly #runner: QueryRunner;
  readonly #tools: OutboxTools;
  #ids: readonly string[] = [];
  #wakeUps: readonly WakeUp[] = [];

  constructor(transactionId: string, runner: QueryRunner, tools: OutboxTools) {
    this.#transactionId = transactionId;
    this.#runner = runner;
    this.#tools = tools;
  }

  /** Rows of this transaction are in the outbox. */
  get hasWritten(): boolean {
    return this.#ids.length > 0;
  }

  /** When what was written is due. */
  get wakeUps(): readonly WakeUp[] {
    return this.#wakeUps;
  }

  /** Writes rows in place of those written before. What goes wrong rejects, and so keeps the transaction from COMMIT. */
  async write(rows: readonly OutboxDelta[]): Promise<void> {
    try {
      await this.#replace(rows);
    } catch (error) {
      if ((error as { code?: unknown }).code !== ABORTED) throw error;
    }
  }

  /** The same, in a savepoint: what goes wrong leaves the transaction as it was. Resolves to whether the rows are written. */
  async tryWrite(rows: readonly OutboxDelta[]): Promise<boolean> {
    // Nothing of others in between, which a rollback would take along.
    return exclusively(this.#runner, () => this.#writeInSavepoint(rows));
  }

  async #writeInSavepoint(rows: readonly OutboxDelta[]): Promise<boolean> {
    const [ids, wakeUps] = [this.#ids, this.#wakeUps];
    try {
      await this.#runner.query(`SAVEPOINT ${SAVEPOINT}`);
    } catch {
      return false;
    }
    try {
      await this.#replace(rows);
      await this.#runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
      return true;
    } catch {
      [this.#ids, this.#wakeUps] = [ids, wakeUps];
      await undoSavepoint(this.#runner, SAVEPOINT);
      return false;
    }
  }

  async #replace(deltas: readonly OutboxDelta[]): Promise<void> {
    if (this.#ids.length + deltas.length === 0) return;
    const { tables, window } = this.#tools;
    const replacement = { transactionId: this.#transactionId, replaced: this.#ids, deltas, window };
    const { ids, wakeUps } = await writeOutbox(this.#runner, tables, replacement);
    [this.#ids, this.#wakeUps] = [ids, wakeUps];
  }
}
