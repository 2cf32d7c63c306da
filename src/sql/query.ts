import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** A result row: column alias → raw driver value. */
export type ResultRow = Readonly<Record<string, unknown>>;

/** Runs one statement and returns its rows. */
export async function rowsOf(
  runner: QueryRunner,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly ResultRow[]> {
  const result = await runner.query(sql, [...parameters], true);
  return result.records as readonly ResultRow[];
}

/** Runs `work` on a connection of its own to the master. */
export async function withConnection<T>(dataSource: DataSource, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  const runner = dataSource.createQueryRunner('master');
  try {
    return await work(runner);
  } finally {
    await runner.release();
  }
}

/** The isolation levels our own transactions ask for, whatever the database's default is. */
export type Isolation = 'READ COMMITTED' | 'REPEATABLE READ';

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
    await runner.query(`BEGIN ISOLATION LEVEL ${isolation}`);
    try {
      const result = await work(runner, runner.manager);
      await runner.query('COMMIT');
      return result;
    } catch (error) {
      await runner.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}
