import type { QueryRunner } from 'typeorm';

import { classifyError } from '../errors';
import { AmountError } from '../../../errors';

/** Work on many items that may fail for some of them. */
export interface Divisible<T> {
  /** Does all of the work on some items, or fails. */
  readonly work: (items: readonly T[]) => Promise<void>;
  /** Does it for no item at all: fails where it would fail for every one. */
  readonly probe: () => Promise<void>;
  /** Receives the items it cannot be done for: one, unless all of them are alike. */
  readonly leave: (items: readonly T[], error: unknown) => void;
}

const SAVEPOINT = 'counter_cache';

/** Ambiguous failures, each of which may take as long as a statement may, until all that is left is left alone. */
const MAX_AMBIGUOUS = 24;

/** The same as long as nothing could be done: then it is no single item. */
const MAX_AMBIGUOUS_ALONE = 5;

/** Characters of a reason that are kept. */
const MAX_REASON = 1_000;

/** Whether an error may be about some rows only; all others are about the connection or the server. */
export function isAboutRows(error: unknown): boolean {
  const failure = classifyError(error);
  return error instanceof AmountError || failure === 'refused' || failure === 'ambiguous';
}

/** Why something failed, in few words. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message === '' ? 'an error without a message' : message).slice(0, MAX_REASON);
}

/**
 * Does work in savepoints of the present transaction, and divides it until what fails stands alone (I11): what every item
 * has in common first, then halves. At most two attempts per item.
 *
 * @throws what is not about rows: all of it has to be done again
 */
export async function divide<T>(runner: QueryRunner, items: readonly T[], divisible: Divisible<T>): Promise<void> {
  if (items.length === 0) return;
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  await new Division(runner, divisible).divide(items);
  await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
}

class Division<T> {
  readonly #runner: QueryRunner;
  readonly #divisible: Divisible<T>;
  #ambiguous = 0;
  #hasSucceeded = false;

  constructor(runner: QueryRunner, divisible: Divisible<T>) {
    this.#runner = runner;
    this.#divisible = divisible;
  }

  async divide(items: readonly T[]): Promise<void> {
    const { work, probe, leave } = this.#divisible;
    const error = await this.#attempt(() => work(items));
    if (error === null) return;
    const ofAll = await this.#attempt(probe);
    if (ofAll !== null) return leave(items, ofAll);
    // The halves of all before the quarters of any: what can be done shows early.
    const open: (readonly [items: readonly T[], error: unknown])[] = [[items, error]];
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const [group, failure] = next;
      if (group.length === 1 || this.#isStuck) leave(group, failure);
      else open.push(...(await this.#attemptHalves(group)));
    }
  }

  async #attemptHalves(group: readonly T[]): Promise<(readonly [items: readonly T[], error: unknown])[]> {
    const middle = Math.ceil(group.length / 2);
    const failed: (readonly [readonly T[], unknown])[] = [];
    for (const half of [group.slice(0, middle), group.slice(middle)]) {
      const error = await this.#attempt(() => this.#divisible.work(half));
      if (error === null) this.#hasSucceeded = true;
      else failed.push([half, error]);
    }
    return failed;
  }

  get #isStuck(): boolean {
    return this.#ambiguous >= (this.#hasSucceeded ? MAX_AMBIGUOUS : MAX_AMBIGUOUS_ALONE);
  }

  /** Returns what kept the work from being done; leaves the savepoint where it was, or behind what was done. */
  async #attempt(work: () => Promise<void>): Promise<unknown> {
    try {
      await work();
      await this.#runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}; SAVEPOINT ${SAVEPOINT}`);
      return null;
    } catch (error) {
      if (!isAboutRows(error)) throw error;
      if (classifyError(error) === 'ambiguous') this.#ambiguous += 1;
      await this.#runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
      return error;
    }
  }
}
