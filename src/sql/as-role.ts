import type { DataSource, QueryRunner } from 'typeorm';

import { escapeName } from './escape';
import { withConnection } from './query';
import { withSideConnection } from './side-connection';

/** Nobody waits for locks on a schema that is being changed, ms. */
const LOCK_TIMEOUT = 500;

/**
 * Looks at something with the eyes of a role, on a connection of its own, in a transaction that changes nothing.
 *
 * @param role `null` is that of the connection
 */
export function asRole<T>(
  dataSource: DataSource,
  role: string | null,
  work: (runner: QueryRunner) => Promise<T>,
): Promise<T> {
  return withSideConnection(dataSource, (side) =>
    withConnection(side, async (runner) => {
      await runner.query(`BEGIN READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT}`);
      if (role !== null) await runner.query(`SET LOCAL ROLE ${escapeName(role)}`);
      // The connection is closed after it, and the transaction with it.
      return work(runner);
    }),
  );
}
