/** What the clients have done. */
export class Tally {
  readonly #writes = new Map<string, number>();
  /** Rows written, all entities together. */
  total = 0;
  /** Requests answered, whatever the answer. */
  requests = 0;
  /** Requests that lost a race: their row was gone, or is there already. */
  conflicts = 0;

  /** Counts rows written to an entity. */
  wrote(source: string, rows = 1): void {
    this.#writes.set(source, (this.#writes.get(source) ?? 0) + rows);
    this.total += rows;
  }

  writesOf(source: string): number {
    return this.#writes.get(source) ?? 0;
  }
}
