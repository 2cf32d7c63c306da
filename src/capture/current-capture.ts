import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

import type { Definitions } from '../model/definition';
import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import type { KnownCatalogue } from '../dialects/postgres/catalogue/known-catalogue';
import { isSchemaError } from '../dialects/postgres/catalogue/schema-errors';
import { Capture, type CaptureOptions } from './capture';
import type { WriteHook } from '../typeorm/hook';
import { Refusals } from './refusals';
import type { OpenTransaction } from './transaction/open-transaction';
import type { Transactions } from './transaction/transactions';

/** What is counted, and in what tables. */
export interface CurrentCaptureBasis {
  readonly definitions: Definitions;
  readonly catalogue: KnownCatalogue;
}

/** The capture that fits the tables as they are known now; statements under way keep the one that they began with. */
export class CurrentCapture {
  readonly #dataSource: DataSource;
  readonly #basis: CurrentCaptureBasis;
  readonly #transactions: Transactions;
  readonly #options: CaptureOptions;
  readonly refusals: Refusals;
  #catalogue: Catalogue | null = null;
  #capture: Capture | null = null;
  #latest: Capture | null = null;
  /** For transactions that have changed the schema: until they are committed, they alone see how it is. */
  readonly #changed = new WeakMap<OpenTransaction, { readonly version: string; readonly capture: Promise<Capture> }>();

  constructor(dataSource: DataSource, basis: CurrentCaptureBasis, transactions: Transactions, options: CaptureOptions) {
    this.#dataSource = dataSource;
    this.#basis = basis;
    this.#transactions = transactions;
    this.#options = options;
    this.refusals = new Refusals(dataSource, transactions.roles);
  }

  /** The last one that was made; `null` while nothing was captured. */
  get latest(): Capture | null {
    return this.#latest;
  }

  /** See `Capture.hook`. */
  readonly hook: WriteHook = (builder, execute) => {
    const { definitions, catalogue } = this.#basis;
    if (definitions.counters.length === 0) return null;
    const { queryRunner: runner } = builder;
    const captured =
      catalogue.current === null || this.#changing(runner) !== undefined
        ? // Read first: migrations run, or have run, or this transaction has changed the tables.
          this.#onceRead(runner, (capture) => capture.hook(builder, execute) ?? execute())
        : this.#by(catalogue.current).hook(builder, execute);
    captured?.catch(this.#noticeStale);
    return captured;
  };

  /** See `Capture.track`. */
  readonly track: Capture['track'] = async (manager, ...args) => {
    // What is no manager is refused there.
    const runner = (manager as EntityManager | undefined)?.queryRunner;
    return (await this.load(runner)).track(manager, ...args);
  };

  /** A table has changed since it was read: it is read again for the next statement. */
  readonly #noticeStale = (error: unknown): void => {
    if (isSchemaError(error)) this.#basis.catalogue.invalidate();
  };

  /** The capture for a query runner's next statement, once the tables are known. */
  async load(runner?: QueryRunner): Promise<Capture> {
    const transaction = this.#changing(runner);
    if (runner === undefined || transaction === undefined) return this.#by(await this.#basis.catalogue.load());
    const version = `${transaction.schemaVersion} ${this.#basis.catalogue.generation}`;
    const known = this.#changed.get(transaction);
    if (known?.version === version) return known.capture;
    const capture = this.#basis.catalogue.readIn(runner).then((catalogue) => this.#make(catalogue));
    this.#changed.set(transaction, { version, capture });
    // The next statement tries again.
    capture.catch(() => this.#changed.delete(transaction));
    return capture;
  }

  /** COMMIT and ROLLBACK wait for the reading: what is done then belongs to the transaction, and has them wait by itself. */
  async #onceRead<T>(runner: QueryRunner | undefined, work: (capture: Capture) => Promise<T>): Promise<T> {
    const transaction = runner && this.#transactions.current(runner);
    const leave = this.#transactions.enter(transaction ?? null, runner ?? null);
    let result: Promise<T>;
    try {
      result = work(await this.load(runner));
    } finally {
      leave();
    }
    return result;
  }

  /** The transaction that a query runner is in, if it has changed the schema. */
  #changing(runner: QueryRunner | undefined): OpenTransaction | undefined {
    const transaction = runner && this.#transactions.current(runner);
    return transaction !== undefined && transaction.schemaVersion > 0 ? transaction : undefined;
  }

  #by(catalogue: Catalogue): Capture {
    if (this.#capture !== null && this.#catalogue === catalogue) return this.#capture;
    this.#catalogue = catalogue;
    return (this.#capture = this.#make(catalogue));
  }

  #make(catalogue: Catalogue): Capture {
    const { definitions } = this.#basis;
    const refresh = () => this.#basis.catalogue.refresh();
    return (this.#latest = new Capture(
      this.#dataSource,
      { definitions, catalogue, refresh, refusals: this.refusals },
      this.#transactions,
      this.#options,
    ));
  }
}
