import type { DataSource } from 'typeorm';

import type { Definitions } from '../model/definition';
import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import type { KnownCatalogue } from '../dialects/postgres/catalogue/known-catalogue';
import { isSchemaError } from '../dialects/postgres/catalogue/schema-errors';
import { Capture, type CaptureOptions } from './capture';
import type { WriteHook } from '../typeorm/hook';
import { Refusals } from './refusals';
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

  constructor(dataSource: DataSource, basis: CurrentCaptureBasis, transactions: Transactions, options: CaptureOptions) {
    this.#dataSource = dataSource;
    this.#basis = basis;
    this.#transactions = transactions;
    this.#options = options;
    this.refusals = new Refusals(dataSource, transactions.roles);
  }

  /** The last one that was made; `null` while nothing was captured. */
  get latest(): Capture | null {
    return this.#capture;
  }

  /** See `Capture.hook`. */
  readonly hook: WriteHook = (builder, execute) => {
    const { definitions, catalogue } = this.#basis;
    if (definitions.counters.length === 0) return null;
    const captured =
      catalogue.current === null
        ? // While migrations run, and after them.
          this.load().then((capture) => capture.hook(builder, execute) ?? execute())
        : this.#by(catalogue.current).hook(builder, execute);
    captured?.catch(this.#noticeStale);
    return captured;
  };

  /** A table has changed since it was read: it is read again for the next statement. */
  readonly #noticeStale = (error: unknown): void => {
    if (isSchemaError(error)) this.#basis.catalogue.invalidate();
  };

  /** The capture, once the tables are known. */
  async load(): Promise<Capture> {
    return this.#by(await this.#basis.catalogue.load());
  }

  #by(catalogue: Catalogue): Capture {
    if (this.#capture !== null && this.#catalogue === catalogue) return this.#capture;
    const { definitions } = this.#basis;
    this.#catalogue = catalogue;
    const refresh = () => this.#basis.catalogue.refresh();
    this.#capture = new Capture(
      this.#dataSource,
      { definitions, catalogue, refresh, refusals: this.refusals },
      this.#transactions,
      this.#options,
    );
    return this.#capture;
  }
}
