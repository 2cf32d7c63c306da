import type { Client } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import type { Counters, ErrorCode } from 'typeorm-counter-cache';

import type { Fixture } from '../../../support/setup';
import type { Journal } from '../journal';
import type { Kinds } from '../kinds/kind';
import type { Random } from '../random';
import type { Table } from '../tables';
import type { Tally } from '../tally';
import type { Truths, WrongColumn } from '../truth';

/** What sets some worlds apart from the plain one: other tables, other rights, other surroundings of the same writes. */
export interface Setting {
  readonly name: string;
  /** Entities beside those of every world. */
  readonly entities?: readonly (new () => object)[];
  /** Tables beside those of every world whose rows feed counters; those named more than once come up more often. */
  readonly sources?: readonly Table[];
  /** Rows to begin with, beside those of every world. */
  readonly firstRows?: readonly (readonly [Table, number])[];
  readonly truths?: Truths;
  /** SQL by which sources of a table refer to a row `t`, where that is not its id. */
  readonly keys?: Readonly<Record<string, string>>;
  /** SQLSTATEs of refusals that occur only here. */
  readonly refusals?: readonly string[];
  /** Changes the tables after TypeORM has made them, and before the library sees them. */
  arrange?(database: Ground): Promise<void>;
  /** What is at hand while the world is written to; the first rows are there. */
  open?(place: Place): Promise<Partial<Surroundings>>;
  /** Removes what outlives the database. */
  clean?(server: string, databaseUrl: string): Promise<void>;
}

/** A database, seen by its superuser. */
export interface Ground {
  readonly sql: Client;
  /** The same choices for the same seed. */
  readonly random: Random;
  /** Writes down what was chosen. */
  readonly note: (text: string) => void;
}

/** A world with its first rows. */
export interface Place extends Ground {
  readonly fixture: Fixture;
  readonly journal: Journal;
  readonly tally: Tally;
  /** Opens another DataSource of the same database, with counters of its own. */
  attach(url: string, options: string): Promise<Writer>;
}

/** Through which of several DataSources an operation writes. */
export interface Writer {
  readonly name: string;
  readonly dataSource: DataSource;
  /** `null`: those of the fixture. */
  readonly counters: Counters | null;
}

/** What a setting does while its world is written to. */
export interface Surroundings {
  /** Each operation is made through one of them. */
  readonly writers: readonly Writer[];
  /** Kinds of writes beside those of every world. */
  readonly writes: Kinds;
  /** Schemas with the tables of the world: each is compared with the truth. */
  readonly schemas: readonly string[];
  /** Before an operation that is alone. */
  readonly beforeOperation: () => Promise<void>;
  /** At the beginning of a transaction; returns what was done. */
  readonly onBegin: (manager: EntityManager, random: Random) => Promise<string | null>;
  /** Whether a `CounterCacheError` may be the answer to the present operation: a write that is refused was not made. */
  readonly mayRefuse: () => boolean;
  /** Codes of `CounterCacheError`s that may be reported: what was done is right all the same. */
  readonly mayReport: readonly ErrorCode[];
  /** After an operation that was alone, with everything applied: `findWrong` may find what must be right already. */
  readonly onApplied: (findWrong: () => Promise<WrongColumn[]>) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Those of the plain world. */
export const PLAIN: Surroundings = {
  writers: [],
  writes: {},
  schemas: ['public'],
  beforeOperation: async () => undefined,
  onBegin: async () => null,
  mayRefuse: () => false,
  mayReport: [],
  onApplied: async () => undefined,
  close: async () => undefined,
};

/** Whether a write is in no transaction, nor on a query runner that could be in one. */
export function isAlone(manager: EntityManager): boolean {
  return manager.queryRunner === undefined;
}
