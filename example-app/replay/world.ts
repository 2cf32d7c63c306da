import type { Random } from './random';

/** Ids that exist, as far as the clients know. */
export class Ids {
  readonly #ids: number[] = [];
  readonly #positions = new Map<number, number>();

  get size(): number {
    return this.#ids.length;
  }

  add(...ids: readonly number[]): void {
    for (const id of ids) {
      if (this.#positions.has(id)) continue;
      this.#positions.set(id, this.#ids.length);
      this.#ids.push(id);
    }
  }

  /** The last one takes its place. */
  remove(id: number): void {
    const position = this.#positions.get(id);
    if (position === undefined) return;
    const last = this.#ids.pop() ?? id;
    this.#positions.delete(id);
    if (last === id) return;
    this.#ids[position] = last;
    this.#positions.set(last, position);
  }

  /** A popular one. */
  popular(random: Random): number {
    return this.#at(random.skewed(this.#ids.length));
  }

  /** Any one. */
  any(random: Random): number {
    return this.#at(random.below(this.#ids.length));
  }

  #at(index: number): number {
    const id = this.#ids[index];
    if (id === undefined) throw new Error('there is none to choose from');
    return id;
  }
}

/** What the clients share. */
export class World {
  readonly users = new Ids();
  readonly stores = new Ids();
  readonly products = new Ids();
  readonly movies = new Ids();
  readonly posts = new Ids();
  /** Soft-deleted posts. */
  readonly trash = new Ids();
  readonly comments = new Ids();
  readonly reviews = new Ids();
}
