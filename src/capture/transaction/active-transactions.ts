import type { QueryRunner } from 'typeorm';

import type { OpenTransaction } from './open-transaction';
import { Slot } from '../../model/slot';

interface Link {
  readonly transaction: OpenTransaction;
  readonly runner: QueryRunner;
  before: Link | null;
  after: Link | null;
}

/** So many are looked through for those whose connection is gone. */
const MANY = 256;

/** Transactions that have sent a counted statement and are not over: a list whose links know nothing of those that were taken out. */
export class ActiveTransactions {
  readonly #links = new Slot<OpenTransaction, Link>();
  #last: Link | null = null;
  #size = 0;
  #limit = MANY;

  add(transaction: OpenTransaction, runner: QueryRunner): void {
    if (this.#links.get(transaction) !== undefined) return;
    const link: Link = { transaction, runner, before: this.#last, after: null };
    if (this.#last !== null) this.#last.after = link;
    this.#last = link;
    this.#links.set(transaction, link);
    this.#size += 1;
    if (this.#size > this.#limit) this.#prune();
  }

  delete(transaction: OpenTransaction): void {
    const link = this.#links.get(transaction);
    if (link === undefined) return;
    if (link.before !== null) link.before.after = link.after;
    if (link.after === null) this.#last = link.before;
    else link.after.before = link.before;
    link.before = null;
    link.after = null;
    this.#links.set(transaction, undefined);
    this.#size -= 1;
  }

  /** From the last that began to the first. */
  list(): readonly Pick<Link, 'transaction' | 'runner'>[] {
    const links: Link[] = [];
    for (let link = this.#last; link !== null; link = link.before) links.push(link);
    return links;
  }

  /** Of a transaction whose connection broke, nothing more is heard: TypeORM has released its query runner. */
  #prune(): void {
    for (const { transaction, runner } of this.list()) if (runner.isReleased) this.delete(transaction);
    this.#limit = Math.max(MANY, 2 * this.#size);
  }
}
