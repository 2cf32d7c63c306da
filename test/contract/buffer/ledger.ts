/** Amounts by target and column. */
export class Amounts {
  readonly #sums = new Map<string, bigint>();

  add(target: string, of: Iterable<readonly [string, bigint]>, sign = 1n): void {
    for (const [column, amount] of of) {
      const key = `${target}/${column}`;
      this.#sums.set(key, (this.#sums.get(key) ?? 0n) + sign * amount);
    }
  }

  get(target: string, column: string): bigint {
    return this.#sums.get(`${target}/${column}`) ?? 0n;
  }

  /** Without zeros, in order; as text, because failures are printed. */
  entries(): string[] {
    return [...this.#sums]
      .filter(([, amount]) => amount !== 0n)
      .map(([key, amount]) => `${key} ${amount}`)
      .toSorted();
  }
}
