import type { Counter, CounterColumn } from '../../../model/definition';

/** Where a counter that SQL cannot recount puts what it finds. */
export interface Tally {
  add(target: string, column: CounterColumn, amount: bigint): void;
  /** The counter cannot be recounted for a target: none of these columns can. */
  fail(target: string, columns: Iterable<CounterColumn>, error: unknown): void;
}

/** What was found by work that may yet be undone. */
export class Draft implements Tally {
  readonly #found: ((tally: Tally) => void)[] = [];

  add(target: string, column: CounterColumn, amount: bigint): void {
    this.#found.push((tally) => tally.add(target, column, amount));
  }

  fail(target: string, columns: Iterable<CounterColumn>, error: unknown): void {
    this.#found.push((tally) => tally.fail(target, columns, error));
  }

  /** Once it stands. */
  passTo(tally: Tally): void {
    for (const found of this.#found) found(tally);
  }
}

/** Every column that a counter may write for targets of a table. */
export function columnsOf(counter: Counter, targetTable: CounterColumn['targetTable']): CounterColumn[] {
  return counter.targets
    .filter((target) => target.targetTable === targetTable)
    .flatMap(({ columns }) => [...columns.values()]);
}
