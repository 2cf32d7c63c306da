import type { QueryRunner } from 'typeorm';

/** One value per query runner, kept on the runner itself: with a WeakMap every transaction costs the garbage collector. */
export class RunnerSlot<Value> {
  readonly #key = Symbol('typeorm-counter-cache');

  get(runner: QueryRunner): Value | undefined {
    return (runner as QueryRunner & Record<symbol, Value | undefined>)[this.#key];
  }

  set(runner: QueryRunner, value: Value | undefined): void {
    (runner as QueryRunner & Record<symbol, Value | undefined>)[this.#key] = value;
  }
}
