import type { DataSource } from 'typeorm';

import { problemsOfTables } from './dialects/postgres/catalogue/check-tables';
import type { Definitions } from './model/definition';
import type { Catalogue } from './dialects/postgres/catalogue/catalogue';
import type { KnownCatalogue } from './dialects/postgres/catalogue/known-catalogue';
import { ConfigurationError } from './errors';
import type { Events } from './events';
import { catalogueOf } from './dialects/postgres/catalogue/catalogue-of';

/** The database's own tables, as long as the metadata of a DataSource last. */
export class FollowedTables {
  readonly catalogue: KnownCatalogue;
  readonly #dataSource: DataSource;
  readonly #definitions: Definitions;
  readonly #events: Events;
  #isChecked = false;

  constructor(dataSource: DataSource, definitions: Definitions, events: Events) {
    this.#dataSource = dataSource;
    this.#definitions = definitions;
    this.#events = events;
    this.catalogue = catalogueOf(dataSource, (catalogue) => this.#report(catalogue));
  }

  /**
   * Looks at them when the DataSource has been initialized; what becomes of them later is reported.
   *
   * @throws ConfigurationError when they keep counters from being exact
   */
  async check(): Promise<void> {
    const problems = this.#problemsIn(await this.catalogue.load());
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.#isChecked = true;
  }

  /** Looks whether they have changed. */
  async follow(): Promise<void> {
    await this.catalogue.refresh();
  }

  /** Reports each problem once. */
  #report(catalogue: Catalogue): void {
    if (!this.#isChecked) return;
    for (const problem of this.#problemsIn(catalogue))
      this.#events.reportOnce(problem, new ConfigurationError([problem]));
  }

  #problemsIn(catalogue: Catalogue): readonly string[] {
    return problemsOfTables(this.#definitions, this.#dataSource, catalogue);
  }
}
