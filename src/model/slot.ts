/**
 * One value per object, kept on the object itself. With a map of all objects, weak or not, every transaction costs the
 * garbage collector: what passes through it outlives its use.
 */
export class Slot<Holder extends object, Value> {
  readonly #key = Symbol('typeorm-counter-cache');

  get(holder: Holder): Value | undefined {
    return (holder as Record<symbol, Value | undefined>)[this.#key];
  }

  set(holder: Holder, value: Value | undefined): void {
    (holder as Record<symbol, Value | undefined>)[this.#key] = value;
  }
}
