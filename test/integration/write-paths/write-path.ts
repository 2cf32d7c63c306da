import type { DataSource, EntityManager, EntityTarget, FindOptionsWhere, ObjectLiteral } from 'typeorm';

/** A DataSource that a write is made on, with counters or without. */
export interface World {
  readonly dataSource: DataSource;
  readonly manager: EntityManager;
  /** `counters.skip`; without counters just the work. */
  readonly skip: <Result>(work: () => Result) => Result;
  /** `counters.track`; without counters just the work. */
  readonly track: <Entity extends ObjectLiteral>(
    manager: EntityManager,
    source: EntityTarget<Entity>,
    where: FindOptionsWhere<Entity>,
    work: (manager: EntityManager) => Promise<unknown>,
  ) => Promise<unknown>;
}

/** What tells the library about changed rows. */
export type Capture = 'returned rows' | 'old and new rows' | 'cascade' | 'path' | 'track' | 'recount';

/** One way to write. */
export interface WritePath {
  readonly group: string;
  /** As it stands in the table. */
  readonly name: string;
  readonly captured: readonly Capture[];
  /** Makes the rows that are there before, and returns the write. */
  readonly run: (world: World) => Promise<() => Promise<unknown>>;
  /** Not counted until `counters.recalculate()`. */
  readonly unseen?: true;
  /** Codes of the errors that are reported the first time. */
  readonly reports?: readonly string[];
  /** Takes back what is left in the database besides rows, or in a query runner. */
  readonly undo?: (world: World) => Promise<unknown>;
}

/** Several ways to write under one heading. */
export function group(name: string, paths: readonly Omit<WritePath, 'group'>[]): readonly WritePath[] {
  return paths.map((path) => ({ group: name, ...path }));
}
