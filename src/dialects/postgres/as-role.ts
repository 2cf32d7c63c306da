import type { DataSource, QueryRunner } from 'typeorm';

import { escapeName } from './escape';
import { rollBack, withConnection } from './query';
import { besidePool } from './side-connection';

/** How long a lock on a schema that is being changed is waited for, ms. */
const LOCK_TIMEOUT = 500;

/**
 * Looks at something with the eyes of a role, on the connection beside the pool, in a transaction that changes nothing and
 * is rolled back.
 *
 * @param role `null` is that of the connection
 */
export function asRole<T>(
  dataSource: DataSource,
  role: string | null,
  work: (runner: QueryRunner) => Promise<T>,
): Promise<T> {
  return besidePool('always', () =>
    withConnection(dataSource, async (runner) => {
      try {
        await runner.query(`BEGIN READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT}`);
        if (role !== null) await runner.query(`SET LOCAL ROLE ${escapeName(role)}`);
        return await work(runner);
      } finally {
        await rollBack(runner);
      }
    }),
  );
}
