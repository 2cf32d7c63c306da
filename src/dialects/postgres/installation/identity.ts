import { randomBytes } from 'node:crypto';

import type { QueryRunner } from 'typeorm';

import { type DatabaseIdentity, differenceOf } from '../catalogue/identity';
import { CounterCacheError } from '../../../errors';
import { mayWrite, type ResultRow, rowsOf } from '../query';
import type { TablePaths } from './tables';

/** Row that says which database the installation is for; JSON. */
const IDENTITY = 'identity';

/** What shows that a database is a copy of the one that its installation is for. */
const COPIED: Readonly<Record<keyof DatabaseIdentity, string>> = {
  system: 'it is in another cluster than before: it was restored from a dump, or upgraded',
  database:
    'it is another database of the cluster than before: it was made from a template, or restored beside the first',
  timeline: 'its cluster has begun a new timeline: a standby was promoted, or a backup recovered',
};

/** A new id for an installation. */
export function newInstallationId(): string {
  return randomBytes(6).toString('hex');
}

/**
 * Binds the installation to the database that it is in. One that is for another database becomes a new one: what is kept
 * elsewhere under its id is not this database's. What waits in the outbox is, and stays. Runs in a transaction.
 *
 * @returns why the installation is a new one from now on; `null` when it is the one it was
 * @throws CounterCacheError `STATE_MISMATCH` when it is a copy, and this role may not write
 */
export async function adoptIdentity(
  runner: QueryRunner,
  tables: TablePaths,
  identity: DatabaseIdentity,
): Promise<string | null> {
  const row = `${tables.state} WHERE "id" = '${IDENTITY}'`;
  const [known] = await rowsOf(runner, `SELECT "value" FROM ${row}`);
  if (known !== undefined && same(merged(parse(known), identity), parse(known))) return null;
  if (!(await mayWrite(runner, tables.state))) return expectSame(known, identity);
  const insert = `INSERT INTO ${tables.state} ("id", "value") VALUES ('${IDENTITY}', $1) ON CONFLICT DO NOTHING RETURNING "id"`;
  if ((await rowsOf(runner, insert, [JSON.stringify(identity)])).length > 0) return null;
  // Of several that find it out, one acts.
  const [noted] = await rowsOf(runner, `SELECT "value" FROM ${row} FOR UPDATE`);
  const difference = noted === undefined ? null : differenceOf(parse(noted), identity);
  const next = noted === undefined || difference !== null ? identity : merged(parse(noted), identity);
  await runner.query(`UPDATE ${tables.state} SET "value" = $1 WHERE "id" = '${IDENTITY}'`, [JSON.stringify(next)]);
  if (difference === null) return null;
  await renew(runner, tables);
  return COPIED[difference];
}

/** Shards that were in use are found lost under the new id; what was claimed under the old one is refused from now on. */
async function renew(runner: QueryRunner, { state, shard }: TablePaths): Promise<void> {
  await runner.query(`UPDATE ${state} SET "value" = $1 WHERE "id" = 'installation'`, [newInstallationId()]);
  await runner.query(`UPDATE ${shard} SET "epoch" = "epoch" + 1 WHERE "epoch" > 0`);
  // Processes of the other database, and where they keep what is pending.
  await runner.query(`DELETE FROM ${state} WHERE "id" = 'redis' OR starts_with("id", 'process:')`);
}

/** A role that may not write leaves it to one that may. */
function expectSame(known: ResultRow | undefined, identity: DatabaseIdentity): null {
  const difference = known === undefined ? null : differenceOf(parse(known), identity);
  if (difference === null) return null;
  const reason = `this database is a copy of the one that its counters were kept for: ${COPIED[difference]}`;
  const advice = 'Start a process first whose role may write to the tables of the library, a worker for instance';
  throw new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, { reason: COPIED[difference] });
}

function parse(row: Readonly<Record<string, unknown>>): DatabaseIdentity {
  return JSON.parse(String(row['value'])) as DatabaseIdentity;
}

/** What one process could not ask, another can. */
function merged(known: DatabaseIdentity, asked: DatabaseIdentity): DatabaseIdentity {
  const { system, database, timeline } = asked;
  return {
    system: system === '' ? known.system : system,
    database: database === '' ? known.database : database,
    timeline: timeline === '' ? known.timeline : timeline,
  };
}

function same(one: DatabaseIdentity, other: DatabaseIdentity): boolean {
  return one.system === other.system && one.database === other.database && one.timeline === other.timeline;
}
