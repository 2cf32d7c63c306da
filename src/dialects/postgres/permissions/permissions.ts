import type { DataSource } from 'typeorm';

import type { Definitions } from '../../../model/definition';
import type { KnownCatalogue } from '../catalogue/known-catalogue';
import { isInsufficientPrivilege } from '../privilege-error';
import { NotPermittedError } from '../../../errors';
import { type OwnTables, ownTables } from '../installation/tables';
import { countingNeeds, foundingNeeds, openingNeeds, workerNeeds } from './needs';
import { problemsOf } from './problems';
import type { TableNeed } from './table-need';

const OPENING = 'opening the installation';

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

  /** Opens the installation, which every process does first. */
  async opening<T>(open: () => Promise<T>): Promise<T> {
    await this.#expect(openingNeeds(this.#own), OPENING);
    try {
      return await open();
    } catch (error) {
      if (!isInsufficientPrivilege(error)) throw error;
      // Only the first process of an installation writes it down.
      const catalogue = await this.#catalogue.refresh();
      const problems = problemsOf(catalogue, foundingNeeds(this.#own));
      if (problems.length === 0) throw error;
      throw new NotPermittedError(
        `${OPENING} for the first time takes more than role ${catalogue.role} may do: start a worker first, or grant it`,
        problems,
        { role: catalogue.role },
        { cause: error },
      );
    }
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
