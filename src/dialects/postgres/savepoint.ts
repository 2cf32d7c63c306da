import type { QueryRunner } from 'typeorm';

/** Undoes what was done since a savepoint, and forgets it: a ROLLBACK TO alone would keep it. */
export async function undoSavepoint(runner: QueryRunner, name: string): Promise<void> {
  await runner.query(`ROLLBACK TO SAVEPOINT ${name}`);
  await runner.query(`RELEASE SAVEPOINT ${name}`);
}
