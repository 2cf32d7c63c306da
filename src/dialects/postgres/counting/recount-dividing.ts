import type { EntityManager, QueryRunner } from 'typeorm';

import type { Snapshot } from '../../../model/pending';
import type { Counter, CounterColumn } from '../../../model/definition';
import { divide } from '../apply/divide';
import { recountByMethod } from './recount-by-method';
import { recountBySources } from './recount-by-sources';
import { type Counts, recountBySql, type RecountScope, tallyOf, Uncountables } from './recount-by-sql';
import { undoSavepoint } from '../savepoint';
import { Draft } from './tally';

/** A recount in a repeatable-read transaction: every part of it sees the same. */
export interface RecountSession {
  readonly runner: QueryRunner;
  readonly manager: EntityManager;
}

const METHOD_SAVEPOINT = 'counter_cache_method';

/** Of a recount that could not read anything: nothing is done with it. */
const NO_SNAPSHOT: Snapshot = { xmin: 0n, xmax: 0n, inProgress: [] };

type Values = Map<string, { readonly column: bigint; truth: bigint }>;

/**
 * Recounts column by column, and, where that fails, fewer and fewer targets, until those stand alone for which a column
 * cannot be recounted.
 */
export async function recountDividing(session: RecountSession, scope: RecountScope): Promise<Counts> {
  const { columns } = scope;
  const division = new RecountDivision(session, scope);
  await division.readRows();
  for (const column of columns) await division.readColumn(column);
  const counters = new Set(columns.flatMap((column) => column.counters.filter((counter) => !counter.sql)));
  for (const counter of counters) await division.addCounter(counter);
  return division.counts();
}

class RecountDivision {
  readonly #session: RecountSession;
  readonly #scope: RecountScope;
  readonly #values = new Map<string, Values>();
  readonly #waiting = new Set<string>();
  readonly #refused: string[] = [];
  readonly #uncountable = new Uncountables();
  #snapshot = NO_SNAPSHOT;

  constructor(session: RecountSession, scope: RecountScope) {
    this.#session = session;
    this.#scope = scope;
  }

  counts(): Counts {
    return {
      snapshot: this.#snapshot,
      counted: this.#scope.targets.map((target) => this.#values.get(target) ?? null),
      waiting: this.#waiting,
      refused: this.#refused,
      uncountable: this.#uncountable,
    };
  }

  /** Which rows are there, and what waits for them. */
  async readRows(): Promise<void> {
    const { columns, targets } = this.#scope;
    await divide(this.#session.runner, targets, {
      work: async (some) => {
        const found = await this.#read([], some);
        this.#snapshot = found.snapshot;
        for (const [i, target] of some.entries()) if (found.counted[i] !== null) this.#values.set(target, new Map());
        for (const target of found.waiting) this.#waiting.add(target);
        this.#refused.push(...found.refused);
        this.#uncountable.addAll(found.uncountable);
      },
      probe: async () => void (await this.#read([], [])),
      leave: (some, error) => {
        for (const target of some) {
          this.#values.set(target, new Map());
          this.#uncountable.addTarget(target, columns, error);
        }
      },
    });
  }

  /** What a column holds, and what of it SQL can count. */
  async readColumn(column: CounterColumn): Promise<void> {
    const open = [...this.#values.keys()].filter((target) => !this.#uncountable.has(target, column));
    await divide(this.#session.runner, open, {
      work: async (some) => {
        const { counted, uncountable } = await this.#read([column], some);
        for (const [i, target] of some.entries()) {
          const values = counted[i]?.get(column.name);
          if (values !== undefined) this.#values.get(target)?.set(column.name, values);
        }
        this.#uncountable.addAll(uncountable);
      },
      probe: async () => void (await this.#read([column], [])),
      leave: (some, error) => {
        for (const target of some) this.#uncountable.addColumn(target, column, error);
      },
    });
  }

  async addCounter(counter: Counter): Promise<void> {
    const { runner, manager } = this.#session;
    const { targetTable, targets } = this.#scope;
    const tally = tallyOf(this.counts(), targets, counter);
    const present = [...this.#values.keys()];
    if (counter.method !== null)
      return recountByMethod(manager, counter, targetTable, new Set(present), tally, (work) =>
        inSavepoint(runner, work),
      );
    const columns = counter.targets.flatMap((target) => [...target.columns.values()]);
    await divide(runner, present, {
      async work(some) {
        const draft = new Draft();
        await recountBySources(manager, counter, targetTable, new Set(some), draft);
        draft.passTo(tally);
      },
      probe: () => recountBySources(manager, counter, targetTable, new Set(), new Draft()),
      leave: (some, error) => {
        for (const target of some) tally.fail(target, columns, error);
      },
    });
  }

  #read(columns: readonly CounterColumn[], targets: readonly string[]): Promise<Counts> {
    return recountBySql(this.#session.runner, { ...this.#scope, columns, targets });
  }
}

/** @throws what `work` throws, when it could be undone */
async function inSavepoint(runner: QueryRunner, work: () => Promise<void>): Promise<void> {
  await runner.query(`SAVEPOINT ${METHOD_SAVEPOINT}`);
  try {
    await work();
    await runner.query(`RELEASE SAVEPOINT ${METHOD_SAVEPOINT}`);
  } catch (error) {
    await undoSavepoint(runner, METHOD_SAVEPOINT);
    throw error;
  }
}
