import type { QueryRunner } from 'typeorm';

import { rowsOf } from './query';

/** What `pg` knows of the session: told by whoever it is connected to. */
interface Client {
  readonly processID?: number | null;
}

/**
 * Whether a connection is one session of the database, and stays the same one. A pooler that lends sessions to transactions
 * answers for itself when a connection begins, with a process id that no session has.
 */
export async function isDirect(runner: QueryRunner): Promise<boolean> {
  const { processID } = (await runner.connect()) as Client;
  const [session] = await rowsOf(runner, 'SELECT pg_backend_pid() AS pid');
  return typeof processID === 'number' && processID === Number(session?.['pid']);
}
