import type { QueryRunner } from 'typeorm';

import type { DatabaseIdentity } from '../catalogue/identity';
import { CounterCacheError, TablesMissingError } from '../../../errors';
import { adoptIdentity, newInstallationId } from './identity';
import { rowsOf } from '../query';
import { createTablesSql, type TablePaths } from './tables';

/** Version of our tables' meaning. */
const FORMAT = '1';

/** PostgreSQL: undefined_table. */
export const UNDEFINED_TABLE = '42P01';

/** The installation of a database. */
export interface LoadedInstallation {
  readonly id: string;
  /** Why it was made just now for a database that had another one; otherwise `null`. */
  readonly copied: string | null;
}

/**
 * Reads the installation, making it on first use, and again for a database that is a copy. Runs in a transaction.
 *
 * @throws TablesMissingError when the tables do not exist; CounterCacheError `STATE_MISMATCH` when this process is
 * configured with another number of shards than the installation has, or does not know its format.
 */
export async function loadInstallation(
  runner: QueryRunner,
  tables: TablePaths,
  shards: number,
  identity: DatabaseIdentity,
): Promise<LoadedInstallation> {
  let state = await readState(runner, tables);
  // Also when the tables were emptied: what is missing in Redis, or has no id any more, counts as a loss.
  if (!state.has('installation') || !state.has('ledger_floor') || !(await hasShards(runner, tables))) {
    await createState(runner, tables, shards, newInstallationId());
    state = await readState(runner, tables);
  }
  expectState(state, 'shards', String(shards), 'Give every process the same `shards` option.');
  expectState(state, 'format', FORMAT, 'Run the same major version of typeorm-counter-cache everywhere.');
  const copied = await adoptIdentity(runner, tables, identity);
  // Once more: another process may have made a new one just now.
  return { id: await readId(runner, tables), copied };
}

async function readState(runner: QueryRunner, tables: TablePaths): Promise<Map<string, string>> {
  try {
    const rows = await rowsOf(runner, `SELECT "id", "value" FROM ${tables.state}`);
    // The last one that is created: it may be missing when the others are there.
    await runner.query(`SELECT 1 FROM ${tables.outbox} LIMIT 0`);
    return new Map(rows.map((row) => [String(row['id']), String(row['value'])]));
  } catch (error) {
    if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error;
    throw new TablesMissingError(createTablesSql(tables), { cause: error });
  }
}

/** Id of the installation that is there. */
export async function readId(runner: QueryRunner, { state }: TablePaths): Promise<string> {
  const [row] = await rowsOf(runner, `SELECT "value" FROM ${state} WHERE "id" = 'installation'`);
  return (row?.['value'] ?? '') as string;
}

async function hasShards(runner: QueryRunner, { state, shard }: TablePaths): Promise<boolean> {
  const [row] = await rowsOf(
    runner,
    `SELECT (SELECT count(*) FROM ${shard})::text = s."value" AS complete FROM ${state} s WHERE s."id" = 'shards'`,
  );
  return row?.['complete'] === true;
}

/** Creates what is missing of the rows without which nothing can be applied; an installation that is there stays. */
export async function createState(
  runner: QueryRunner,
  tables: TablePaths,
  shards: number,
  installation: string,
): Promise<void> {
  await runner.query(
    `INSERT INTO ${tables.shard} ("shard", "epoch") SELECT generate_series(0, $1::integer - 1), 0 ON CONFLICT DO NOTHING`,
    [shards],
  );
  // One statement, so that a process that sees the state sees all of it.
  await runner.query(
    `INSERT INTO ${tables.state} ("id", "value") VALUES ('installation', $1), ('shards', $2), ('format', $3), ('ledger_floor', '0') ON CONFLICT DO NOTHING`,
    [installation, String(shards), FORMAT],
  );
}

function expectState(state: ReadonlyMap<string, string>, id: string, expected: string, advice: string): void {
  const found = state.get(id);
  if (found === expected) return;
  throw new CounterCacheError(
    'STATE_MISMATCH',
    `expected ${id} of this installation to be ${expected}, got: ${found}. ${advice}`,
    { id, expected, found },
  );
}
