import type { QueryRunner } from 'typeorm';

import type { Catalogue } from './catalogue';

/** Where a catalogue is read. */
export interface CatalogueSource {
  readonly read: () => Promise<Catalogue>;
  /** Reads what the transaction sees that a query runner is in; names mean what they meant in the last one, if there was one. */
  readonly readIn: (runner: QueryRunner, last: Catalogue | null) => Promise<Catalogue>;
  readonly isUpToDate: (catalogue: Catalogue) => Promise<boolean>;
}

/**
 * The catalogue that a process goes by: read once, and again after what may have changed it. Readings that are asked for
 * at the same time are one.
 */
export class KnownCatalogue {
  readonly #read: () => Promise<Catalogue>;
  readonly #readIn: CatalogueSource['readIn'];
  readonly #isUpToDate: (catalogue: Catalogue) => Promise<boolean>;
  readonly #onChange: (catalogue: Catalogue) => void;
  #current: Catalogue | null = null;
  #loading: Promise<Catalogue> | null = null;
  /** The last one that was read, also when it is not known any more whether it still holds. */
  #last: Catalogue | null = null;
  /** What was read last: it may differ from that in what does not matter. */
  #newest: Catalogue | null = null;
  /** A reading that began at an earlier one does not count. */
  #generation = 0;

  /**
   * `isUpToDate` looks whether a catalogue would be read alike, at less cost. `onChange` receives every catalogue that differs
   * from the one before, the first included; what it throws rejects the reading.
   */
  constructor({ read, readIn, isUpToDate }: CatalogueSource, onChange: (catalogue: Catalogue) => void) {
    this.#read = read;
    this.#readIn = readIn;
    this.#isUpToDate = isUpToDate;
    this.#onChange = onChange;
  }

  /** `null` until it is read, and after {@link invalidate}. */
  get current(): Catalogue | null {
    return this.#current;
  }

  /** The catalogue, read if it is not known. Rejects with what the database throws; the next call tries again. */
  load(): Promise<Catalogue> {
    if (this.#current !== null) return Promise.resolve(this.#current);
    return (this.#loading ??= this.#readCurrent().finally(() => (this.#loading = null)));
  }

  /** Reads it again; the same object where nothing has changed. Until then the one that is known holds. */
  async refresh(): Promise<Catalogue> {
    const [current, newest] = [this.#current, this.#newest];
    if (current !== null && newest !== null && (await this.#isUpToDate(newest)) && this.#current === current)
      return current;
    this.#generation += 1;
    await this.#loading?.catch(() => undefined);
    return (this.#loading ??= this.#readCurrent().finally(() => (this.#loading = null)));
  }

  /** The catalogue as the transaction sees it that a query runner is in, which has changed it. It is not kept. */
  readIn(runner: QueryRunner): Promise<Catalogue> {
    return this.#readIn(runner, this.#newest);
  }

  /** Rises when something may have changed. */
  get generation(): number {
    return this.#generation;
  }

  /** Forgets it: tables may be others by now. */
  invalidate(): void {
    this.#generation += 1;
    this.#current = null;
  }

  async #readCurrent(): Promise<Catalogue> {
    for (;;) {
      const generation = this.#generation;
      const read = await this.#read();
      if (generation !== this.#generation) continue;
      const last = this.#last;
      this.#newest = read;
      if (last?.fingerprint === read.fingerprint) return (this.#current = last);
      this.#onChange(read);
      this.#last = read;
      return (this.#current = read);
    }
  }
}
