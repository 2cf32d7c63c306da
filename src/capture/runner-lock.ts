import { AsyncLocalStorage } from 'node:async_hooks';

import type { QueryRunner } from 'typeorm';

/** A turn on a query runner; over once its work has settled. */
interface Turn {
  readonly runner: QueryRunner;
  /** The turn, on another runner, that this one was made in. */
  readonly outer: Turn | undefined;
  over: boolean;
}

/**
 * Lets captured statements of one query runner take turns: TypeORM may send several at once through one runner, and two
 * that both begin a transaction of their own, or set a savepoint, would take each other's. A statement made inside a
 * turn (by a listener of the write) belongs to it and does not wait.
 */
export class RunnerLock {
  readonly #turns = new AsyncLocalStorage<Turn>();
  readonly #last = new WeakMap<QueryRunner, Promise<unknown>>();

  run<T>(runner: QueryRunner, work: () => Promise<T>): Promise<T> {
    const outer = this.#turns.getStore();
    if (isInside(outer, runner)) return work();
    const turn: Turn = { runner, outer, over: false };
    const before = this.#last.get(runner) ?? Promise.resolve();
    const result = before.then(() => this.#turns.run(turn, work)).finally(() => (turn.over = true));
    this.#last.set(
      runner,
      result.catch(() => undefined),
    );
    return result;
  }
}

function isInside(turn: Turn | undefined, runner: QueryRunner): boolean {
  for (let at = turn; at !== undefined; at = at.outer) if (at.runner === runner && !at.over) return true;
  return false;
}
