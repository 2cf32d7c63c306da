import type { RunQuery } from './read-catalogue';

/**
 * What distinguishes one database from every other, copies of it included: those made from a template, restored from a dump, or
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

/** PostgreSQL: insufficient_privilege, undefined_function, feature_not_supported. */
const NOT_TOLD = new Set<unknown>(['42501', '42883', '0A000']);

/** PostgreSQL: object_not_in_prerequisite_state. A standby has no timeline of its own. */
const IN_RECOVERY = '55000';

/** The first characters of the name of a WAL file. */
const TIMELINE = 8;

/** Expressions that say each part, as text. */
const PARTS = {
  system: '(SELECT system_identifier::text FROM pg_catalog.pg_control_system())',
  database: '(SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())',
  timeline: `pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), ${TIMELINE})`,
} as const satisfies Record<keyof DatabaseIdentity, string>;

const NAMES = ['system', 'database', 'timeline'] as const satisfies readonly (keyof DatabaseIdentity)[];

/** Asks the database who it is; each part in a statement of its own, since each may be refused. */
export async function readIdentity(run: RunQuery): Promise<DatabaseIdentity> {
  const ask = async (sql: string): Promise<string> => {
    try {
      const [row] = await run(`SELECT COALESCE(${sql}, '') AS answer`, []);
      return row?.['answer'] as string;
    } catch (error) {
      const { code } = error as { code?: unknown };
      // Some services keep these functions from users.
      if (NOT_TOLD.has(code) || code === IN_RECOVERY) return '';
      throw error;
    }
  };
  return {
    database: await ask(PARTS.database),
    system: await ask(PARTS.system),
    timeline: await ask(PARTS.timeline),
  };
}

/** One expression that says the same as {@link identityText}, of the database that it is evaluated in. */
export function identitySql(known: DatabaseIdentity): string {
  const parts = NAMES.filter((name) => known[name] !== '').map((name) => PARTS[name]);
  return `pg_catalog.concat_ws('/', ${parts.join(', ')})`;
}

/** The parts that are known. */
export function identityText(known: DatabaseIdentity): string {
  return NAMES.flatMap((name) => (known[name] === '' ? [] : [known[name]])).join('/');
}

/** The first part in which two databases differ, as far as both are known; `null` when they may be one. */
export function differenceOf(one: DatabaseIdentity, other: DatabaseIdentity): keyof DatabaseIdentity | null {
  return NAMES.find((name) => one[name] !== '' && other[name] !== '' && one[name] !== other[name]) ?? null;
}
