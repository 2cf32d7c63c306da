import type { DataSource } from 'typeorm';

import type { Definitions } from '../counter/definition';
import type { KnownCatalogue } from '../dialects/postgres/catalogue/known-catalogue';
import { isInsufficientPrivilege } from '../dialects/postgres/privilege-error';
import { NotPermittedError } from '../errors';
import { type OwnTables, ownTables } from '../sql/tables';
import { countingNeeds, openingNeeds, workerNeeds } from './needs';
import { problemsOf } from './problems';
import type { TableNeed } from './table-need';

/**
 * Refuses work for which the role of this process lacks privileges, or for which it is not certain to see every row (I9).
 * Each method throws a NotPermittedError with all that is missing, or what the database throws.
 */
export class Permissions {
  readonly #definitions: Definitions;
  readonly #catalogue: KnownCatalogue;
  readonly #own: OwnTables;

  constructor(dataSource: DataSource, definitions: Definitions, catalogue: KnownCatalogue) {
    this.#definitions = definitions;
    this.#catalogue = catalogue;
    this.#own = ownTables(dataSource);
  }

  /** What every process does first. */
  expectOpening(): Promise<void> {
    return this.#expect(openingNeeds(this.#own), 'opening the installation');
  }

  /** What workers do, by what the database says now. */
  async expectWorker(): Promise<void> {
    await this.#catalogue.refresh();
    await this.expectApplying('a worker');
  }

  /** The same for one call, which is named. */
  expectApplying(call: string): Promise<void> {
    return this.#expect(workerNeeds(this.#definitions, this.#own), call);
  }

  /** Counting without changing anything. */
  expectCounting(call: string): Promise<void> {
    return this.#expect(countingNeeds(this.#definitions, this.#own), call);
  }

  async #expect(needs: readonly TableNeed[], work: string): Promise<void> {
    if (problemsOf(await this.#catalogue.load(), needs).length === 0) return;
    // It may have been granted since.
    const current = await this.#catalogue.refresh();
    const problems = problemsOf(current, needs);
    if (problems.length === 0) return;
    const { role } = current;
    throw new NotPermittedError(`role ${role} may not do what ${work} needs`, problems, { role });
  }
}

/** Whether the database keeps something from this process that others may have. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof NotPermittedError || isInsufficientPrivilege(error);
}
