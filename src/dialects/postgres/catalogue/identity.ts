import type { RunQuery } from './read-catalogue';

/**
 * What tells one database from every other, copies of it included: those made from a template, restored from a dump, or
 * split off by a standby that was promoted.
 */
export interface DatabaseIdentity {
  /** Of the cluster; empty where it may not be asked. */
  readonly system: string;
  /** Oid of the database within its cluster. */
  readonly database: string;
  /** Rises when a standby is promoted, and when a backup is recovered; empty where it may not be asked. */
  readonly timeline: string;
}

/** PostgreSQL: insufficient_privilege, undefined_function. */
const NOT_TOLD = new Set<unknown>(['42501', '42883']);

/** The first characters of the name of a WAL file. */
const TIMELINE = 8;

/** Asks the database who it is. */
export async function readIdentity(run: RunQuery): Promise<DatabaseIdentity> {
  const ask = async (sql: string): Promise<string> => {
    try {
      const [row] = await run(`SELECT COALESCE((${sql})::text, '') AS answer`, []);
      return row?.['answer'] as string;
    } catch (error) {
      // Some services keep these functions from users.
      if (NOT_TOLD.has((error as { code?: unknown }).code)) return '';
      throw error;
    }
  };
  return {
    database: await ask('SELECT oid FROM pg_database WHERE datname = current_database()'),
    system: await ask('SELECT system_identifier FROM pg_control_system()'),
    timeline: await ask(`SELECT left(pg_walfile_name(pg_current_wal_lsn()), ${TIMELINE})`),
  };
}
