import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

import { searchPathSql } from './search-path';
import { ownQueryRunner } from './side-connection';

/** A result row: column alias → raw driver value. */
export type ResultRow = Readonly<Record<string, unknown>>;

/** One statement, as it is sent. */
export type SqlQuery = [sql: string, parameters: unknown[]];

/** Runs one statement and returns its rows. */
export async function rowsOf(
  runner: QueryRunner,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly ResultRow[]> {
  const result = await runner.query(sql, [...parameters], true);
  return result.records as readonly ResultRow[];
}

/** Whether the role may write to a table of ours; an attempt would end the transaction. */
export async function mayWrite(runner: QueryRunner, table: string): Promise<boolean> {
  const [row] = await rowsOf(
    runner,
    `SELECT has_table_privilege($1::regclass, 'INSERT') AND has_table_privilege($1::regclass, 'UPDATE') AS may`,
    [table],
  );
  return row?.['may'] === true;
}

/** Runs `work` on a connection of its own to the master; see `besidePool` for which. */
export async function withConnection<T>(dataSource: DataSource, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  const runner = ownQueryRunner(dataSource);
  try {
    return await work(runner);
  } finally {
    await runner.release();
  }
}

/** The isolation levels our own transactions ask for, in place of the database's default: the second only to read. */
export type Isolation = 'READ COMMITTED' | 'REPEATABLE READ';

/**
 * How long the database waits for the next statement of a `withTransaction` that writes, ms. A process that falls asleep in one (a
 * machine that is paused, say) must not keep its locks from all others: the database ends the session, the transaction is
 * rolled back, and its work done again. One that only reads, and may run functions of users between its statements, keeps
 * no other process from anything.
 */
const IDLE_LIMIT = 10_000;

const BEGIN: Readonly<Record<Isolation, string>> = {
  'READ COMMITTED': `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = ${IDLE_LIMIT}`,
  'REPEATABLE READ': 'BEGIN ISOLATION LEVEL REPEATABLE READ',
};

/** In one round trip with BEGIN: what users name in it (a `where`, a `method`) means the tables that it meant at the opening. */
function beginSql(dataSource: DataSource, isolation: Isolation): string {
  const path = searchPathSql(dataSource);
  return path === null ? BEGIN[isolation] : `${BEGIN[isolation]}; ${path}`;
}

/**
 * Runs `work` in a transaction of our own. Plain statements, not `startTransaction()`: the user's transaction
 * subscribers are not for our bookkeeping.
 */
export async function withTransaction<T>(
  dataSource: DataSource,
  isolation: Isolation,
  work: (runner: QueryRunner, manager: EntityManager) => Promise<T>,
): Promise<T> {
  return withConnection(dataSource, async (runner) => {
    try {
      // One that is answered too late has begun all the same.
      await runner.query(beginSql(dataSource, isolation));
      const result = await work(runner, runner.manager);
      await runner.query('COMMIT');
      return result;
    } catch (error) {
      await rollBack(runner);
      throw error;
    }
  });
}

/**
 * Rolls a transaction of ours back. A connection that does not answer to that (`query_timeout` of `pg`, say) may still be in
 * it: it is closed, so that the pool does not hand it out.
 */
export async function rollBack(runner: QueryRunner): Promise<void> {
  try {
    await runner.query('ROLLBACK');
  } catch {
    // Not awaited, nor of interest: it may be gone already.
    void endConnection(runner).catch(() => undefined);
  }
}

async function endConnection(runner: QueryRunner): Promise<void> {
  const client = (await runner.connect()) as { end(): Promise<void> };
  await client.end();
}
