import type { QueryRunner } from 'typeorm';

import type { OpenTransaction } from './open-transaction';
import { Slot } from './slot';

interface Link {
  readonly transaction: OpenTransaction;
  readonly runner: QueryRunner;
  before: Link | null;
  after: Link | null;
}

/** Transactions that have sent a counted statement and are not over: a list whose links know nothing of those that were taken out. */
export class Unsettled {
  readonly #links = new Slot<OpenTransaction, Link>();
  #last: Link | null = null;

  add(transaction: OpenTransaction, runner: QueryRunner): void {
    if (this.#links.get(transaction) !== undefined) return;
    const link: Link = { transaction, runner, before: this.#last, after: null };
    if (this.#last !== null) this.#last.after = link;
    this.#last = link;
    this.#links.set(transaction, link);
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
  }

  /** From the last that began to the first. */
  list(): readonly Pick<Link, 'transaction' | 'runner'>[] {
    const links: Link[] = [];
    for (let link = this.#last; link !== null; link = link.before) links.push(link);
    return links;
  }
}
