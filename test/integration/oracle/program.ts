import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

import { Abort, type ExpectedErrors, isRefusal, nameOf } from './expected-errors';
import type { Journal } from './journal';
import { FAILURES, STATEMENTS, WRITES } from './kinds';
import type { Kinds } from './kinds/kind';
import { Deck, type Random } from './random';
import type { Tally } from './tally';
import type { Surroundings } from './settings/setting';
import type { Table } from './tables';
import { type ChosenKeys, World } from './world';

/** How deep savepoints nest. */
const DEEPEST = 3;

/** Names of savepoints, and how they are spelt the second time. */
const SAVEPOINTS = [
  ['a', 'A'],
  ['A', 'a'],
  ['"A"', '"A"'],
  ['b', 'b'],
] as const;

/** How often a kind of the setting comes up for each of the others. */
const WEIGHT = 3;

export interface ProgramOptions {
  readonly dataSource: DataSource;
  readonly surroundings: Surroundings;
  readonly sources: readonly Table[];
  readonly random: Random;
  readonly keys: ChosenKeys;
  readonly journal: Journal;
  readonly tally: Tally;
  readonly expected: ExpectedErrors;
  /** Stands before every line of the journal. */
  readonly name: string;
  /** Some writes of one transaction are made at once; their order depends on time. */
  readonly isConcurrent: boolean;
}

type Step = (manager: EntityManager, depth: number) => Promise<void>;

/** Makes random operations: single writes, and transactions of several with savepoints, rollbacks and errors. */
export class Program {
  readonly #options: ProgramOptions;
  readonly #kinds: Kinds;
  /** That of the operation. */
  #dataSource: DataSource;
  readonly #writes: Deck<string>;
  readonly #failures: Deck<string>;
  readonly #shapes: Deck<() => Promise<void>>;
  readonly #steps: Deck<Step>;

  constructor(options: ProgramOptions) {
    this.#options = options;
    const { random, isConcurrent, surroundings } = options;
    this.#dataSource = options.dataSource;
    this.#kinds = { ...WRITES, ...surroundings.writes };
    const added = times(WEIGHT, Object.keys(surroundings.writes)).flat();
    this.#writes = new Deck([...Object.keys(WRITES), ...added], random);
    this.#failures = new Deck(Object.keys(FAILURES), random);
    this.#shapes = new Deck(
      [
        ...times(9, () => this.#single()),
        ...times(1, () => this.#onRunner()),
        ...times(6, () => this.#transaction()),
        ...times(2, () => this.#manual()),
        ...times(2, () => this.#raw()),
      ],
      random,
    );
    this.#steps = new Deck<Step>(
      [
        ...times(12, this.#write),
        ...times(3, this.#nested),
        ...times(3, this.#savepoint),
        ...times(2, this.#swallowInside),
        ...times(1, this.#poison),
        ...times(isConcurrent ? 2 : 0, this.#together),
      ],
      random,
    );
  }

  /** One write, or one whole transaction. @throws what no database should answer */
  async operation(): Promise<void> {
    this.#chooseWriter();
    try {
      await this.#shapes.deal()();
    } catch (error) {
      this.#say(0, `failed: ${nameOf(error)}`);
      if (isRefusal(error)) this.#count(`refused: ${error.code}`);
      if (!this.#options.expected.includes(error)) throw error;
    }
  }

  #chooseWriter(): void {
    const { random, surroundings } = this.#options;
    if (surroundings.writers.length === 0) return;
    const { name, dataSource } = random.pick(surroundings.writers);
    this.#dataSource = dataSource;
    this.#say(0, `(as ${name})`);
  }

  /** What the setting does at the beginning of a transaction. */
  async #begun(manager: EntityManager): Promise<void> {
    const done = await this.#options.surroundings.onBegin(manager, this.#options.random);
    if (done !== null) this.#say(1, done);
  }

  #single(): Promise<void> {
    const { random } = this.#options;
    const { manager } = this.#dataSource;
    return random.chance(0.05) ? this.#failing(manager, 0) : this.#write(manager, 0);
  }

  async #onRunner(): Promise<void> {
    const { random, isConcurrent } = this.#options;
    const areAtOnce = isConcurrent && random.chance(0.5);
    this.#count(`one query runner without a transaction${areAtOnce ? ', writes at once' : ''}`);
    await this.#withRunner(async ({ manager }) => {
      if (areAtOnce) return this.#allOf(random.sample(Object.keys(STATEMENTS), 3), manager, 1);
      for (let left = 3; left > 0; left--) await this.#caught(() => this.#write(manager, 1), 1);
    });
  }

  async #transaction(): Promise<void> {
    const { random } = this.#options;
    const dataSource = this.#dataSource;
    this.#say(0, 'transaction');
    const work = async (manager: EntityManager): Promise<void> => {
      await this.#begun(manager);
      await this.#several(manager, 1);
      if (!random.chance(0.2)) return;
      this.#count('transaction rolled back');
      throw new Abort();
    };
    if (random.chance(0.2)) await dataSource.transaction(random.pick(['REPEATABLE READ', 'SERIALIZABLE']), work);
    else await dataSource.transaction(work);
    this.#count('transaction committed');
  }

  /** A transaction begun and ended by methods of the query runner. */
  async #manual(): Promise<void> {
    const { random } = this.#options;
    await this.#withRunner(async (runner) => {
      this.#say(0, 'startTransaction');
      await runner.startTransaction();
      try {
        await this.#begun(runner.manager);
        await this.#several(runner.manager, 1);
        const isKept = random.chance(0.75);
        this.#count(isKept ? 'commitTransaction' : 'rollbackTransaction');
        await (isKept ? runner.commitTransaction() : runner.rollbackTransaction());
      } catch (error) {
        if (runner.isTransactionActive) await runner.rollbackTransaction();
        throw error;
      }
    });
  }

  /** A transaction by SQL, of which TypeORM knows nothing: a `save` inside begins its own, which ends this one. */
  async #raw(): Promise<void> {
    const { random } = this.#options;
    await this.#withRunner(async (runner) => {
      await this.#query(runner.manager, random.pick(['BEGIN', 'begin work', 'START TRANSACTION']), 0);
      try {
        await this.#begun(runner.manager);
        await this.#several(runner.manager, 1);
        const end = random.pick([
          'COMMIT',
          'COMMIT',
          'end',
          'ROLLBACK',
          'abort',
          'COMMIT AND CHAIN',
          'ROLLBACK AND CHAIN',
        ]);
        await this.#query(runner.manager, end, 0);
        if (!end.endsWith('CHAIN')) return;
        await this.#several(runner.manager, 1);
        await this.#query(runner.manager, 'COMMIT', 0);
      } catch (error) {
        await this.#query(runner.manager, 'ROLLBACK', 0);
        throw error;
      }
    });
  }

  async #several(manager: EntityManager, depth: number): Promise<void> {
    for (let left = 1 + this.#options.random.below(3); left > 0; left--) await this.#steps.deal()(manager, depth);
  }

  readonly #write: Step = (manager, depth) => {
    const name = this.#writes.deal();
    return this.#run(name, this.#kinds, manager, depth);
  };

  readonly #failing: Step = (manager, depth) => this.#run(this.#failures.deal(), FAILURES, manager, depth);

  readonly #nested: Step = async (manager, depth) => {
    if (depth >= DEEPEST) return this.#write(manager, depth);
    const isKept = this.#options.random.chance(0.6);
    await this.#caught(() => {
      this.#say(depth, 'nested transaction');
      return manager.transaction(async (inner) => {
        await this.#several(inner, depth + 1);
        this.#count(isKept ? 'savepoint released' : 'savepoint rolled back');
        if (!isKept) throw new Abort();
      });
    }, depth);
  };

  /** A savepoint by SQL, under a name that may be in use already. */
  readonly #savepoint: Step = async (manager, depth) => {
    if (depth >= DEEPEST) return this.#write(manager, depth);
    const { random, expected } = this.#options;
    const [name, again] = random.pick(SAVEPOINTS);
    await this.#query(manager, `SAVEPOINT ${name}`, depth);
    let failed = false;
    try {
      await this.#several(manager, depth + 1);
    } catch (error) {
      if (!expected.includes(error) || random.chance(0.3)) throw error;
      failed = true;
    }
    if (failed || random.chance(0.4)) await this.#query(manager, `ROLLBACK TO SAVEPOINT ${again}`, depth);
    if (random.chance(0.5)) await this.#query(manager, `RELEASE ${again}`, depth);
  };

  /** An SQL error caught outside its savepoint. */
  readonly #swallowInside: Step = (manager, depth) =>
    this.#caught(() => {
      this.#say(depth, 'nested transaction');
      return manager.transaction(async (inner) => {
        await this.#write(inner, depth + 1);
        this.#count('error swallowed around a savepoint');
        await this.#failing(inner, depth + 1);
      });
    }, depth);

  /** An SQL error caught without a savepoint: PostgreSQL answers the COMMIT with ROLLBACK. */
  readonly #poison: Step = async (manager, depth) => {
    await this.#caught(() => this.#failing(manager, depth), depth);
    this.#count('error swallowed without a savepoint');
    if (this.#options.random.chance(0.3)) await this.#caught(() => this.#write(manager, depth), depth);
  };

  readonly #together: Step = async (manager, depth) => {
    // Where TypeORM knows of no transaction, the save that ends first would commit the other half-way.
    if (manager.queryRunner?.isTransactionActive !== true) return this.#write(manager, depth);
    this.#count('writes of one transaction at once');
    await this.#allOf([this.#writes.deal(), this.#writes.deal()], manager, depth);
  };

  /** Several writes at once; none is left under way when one fails. */
  async #allOf(names: readonly string[], manager: EntityManager, depth: number): Promise<void> {
    const results = await Promise.allSettled(names.map((name) => this.#run(name, this.#kinds, manager, depth)));
    const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as Error);
    // An error that is not expected goes first.
    const { expected } = this.#options;
    const first = failed.find((error) => !expected.includes(error)) ?? failed[0];
    if (first !== undefined) throw first;
  }

  async #run(name: string, kinds: Kinds, manager: EntityManager, depth: number): Promise<void> {
    const { random, keys, tally, sources } = this.#options;
    const line = this.#say(depth, name);
    try {
      await kinds[name]?.(new World(manager, random, keys, line, sources));
      tally.add(name);
    } catch (error) {
      line.note(['→', nameOf(error)]);
      tally.addFailure(name);
      throw error;
    }
  }

  /** Swallows an expected error, as a caller might. */
  async #caught(work: () => Promise<unknown>, depth: number): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#options.expected.includes(error)) throw error;
      this.#say(depth, `caught: ${nameOf(error)}`);
    }
  }

  async #withRunner(work: (runner: QueryRunner) => Promise<void>): Promise<void> {
    const runner = this.#dataSource.createQueryRunner();
    try {
      await work(runner);
    } finally {
      await runner.release();
    }
  }

  async #query(manager: EntityManager, sql: string, depth: number): Promise<void> {
    this.#say(depth, sql);
    await manager.query(sql);
    this.#options.tally.add(sql.toUpperCase().replace(/ ("A"|A|B)$/, ''));
  }

  #count(structure: string): void {
    this.#options.tally.add(structure);
  }

  #say(depth: number, text: string) {
    const { journal, name } = this.#options;
    return journal.add(`${name}${'  '.repeat(depth)}${text}`);
  }
}

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}
