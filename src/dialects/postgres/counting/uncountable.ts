import type { Counter, CounterColumn } from '../../../model/definition';
import { reasonOf } from '../apply/divide';

/** Why a counter could not be recounted for a target. */
export interface Uncountable {
  /** Name of the counter; of several that feed one column and cannot be told apart, all of them. `null`: not of a counter. */
  readonly counter: string | null;
  readonly reason: string;
}

/** What could not be recounted, by target. */
export class Uncountables {
  readonly #reasons = new Map<string, Map<string | null, string>>();
  readonly #columns = new Map<string, Set<string>>();

  get isEmpty(): boolean {
    return this.#reasons.size === 0;
  }

  /** A counter fails for a target: none of these columns can be recounted. */
  add(target: string, counter: Counter, columns: Iterable<CounterColumn>, error: unknown): void {
    this.#add(target, counter.name, columns, error);
  }

  /** A column of a target cannot be recounted, and which of its counters is to blame is not known. */
  addColumn(target: string, column: CounterColumn, error: unknown): void {
    this.#add(target, column.counters.map(({ name }) => name).join(', '), [column], error);
  }

  /** Nothing of a target can be recounted. */
  addTarget(target: string, columns: Iterable<CounterColumn>, error: unknown): void {
    this.#add(target, null, columns, error);
  }

  /** Everything that others name. */
  addAll(others: Uncountables): void {
    for (const [target, reasons] of others.#reasons) {
      const columns = [...(others.#columns.get(target) ?? [])].map((name) => ({ name }));
      for (const [counter, reason] of reasons) this.#add(target, counter, columns, reason);
    }
  }

  has(target: string, column: CounterColumn): boolean {
    return this.#columns.get(target)?.has(column.name) === true;
  }

  /** Empty for a target of which everything was recounted. */
  of(target: string): readonly Uncountable[] {
    return [...(this.#reasons.get(target) ?? [])].map(([counter, reason]) => ({ counter, reason }));
  }

  #add(target: string, counter: string | null, columns: Iterable<Pick<CounterColumn, 'name'>>, error: unknown): void {
    const reasons = this.#reasons.get(target) ?? new Map<string | null, string>();
    const names = this.#columns.get(target) ?? new Set<string>();
    this.#reasons.set(target, reasons);
    this.#columns.set(target, names);
    // The first row that cannot be counted is enough to look for.
    if (!reasons.has(counter)) reasons.set(counter, reasonOf(error));
    for (const { name } of columns) names.add(name);
  }
}
