import { randomBytes } from 'node:crypto';

import type { DataSource, QueryRunner } from 'typeorm';

import { isInsufficientPrivilege } from '../privilege-error';
import { CounterCacheError } from '../../../errors';
import { aliveSql, countOthers, type ProcessSelf, sayAlive, sayGone } from './processes';
import { type ResultRow, rowsOf, withConnection, withTransaction } from '../query';
import type { TablePaths } from './tables';

/** What a process sees of the buffer that it uses. */
export interface SeenHome {
  /** What the installation has put there; `null` when there is nothing. */
  readonly token: string | null;
  /** Names the present run of the server, with the number of the database; empty where it may not be asked. */
  readonly server: string;
  /** Where the connection leads to. */
  readonly address: string;
  /** Where it was asked to lead to, for people; without credentials. */
  readonly name: string;
}

/** The place where an installation keeps what is pending, recognised by a token that it puts there. */
export interface BufferHome {
  readonly prefix: string;
  /** @throws BufferUnavailableError */
  look(): Promise<SeenHome>;
  /** @throws BufferUnavailableError */
  put(token: string): Promise<void>;
}

/** Where an installation keeps what is pending. */
interface NotedHome extends Omit<SeenHome, 'token'> {
  readonly token: string;
  readonly prefix: string;
}

/** Row that says it; JSON. */
const HOME = 'redis';

/**
 * Makes sure that this process keeps what is pending where the other processes of its installation do, and says that it
 * lives. A token distinguishes a Redis that was emptied from another one: the first is a loss, and gets its token again. Another
 * one is adopted once no process uses the first any more; of several that find out, one acts. See docs/adr/0024.
 *
 * @returns why this process must not go on; `null` when it may
 * @throws BufferUnavailableError when Redis does not answer; what the database throws
 */
export async function bindToHome(
  dataSource: DataSource,
  tables: TablePaths,
  home: BufferHome,
  self: ProcessSelf,
): Promise<CounterCacheError | null> {
  const seen = await home.look();
  try {
    const glance = await withConnection(dataSource, (runner) => sayAliveAt(runner, tables, self, home, seen));
    if (glance !== null && isHome(glance, home, seen)) return null;
    return await withTransaction(dataSource, 'READ COMMITTED', (runner) => settle(runner, tables, self, home, seen));
  } catch (error) {
    if (!isInsufficientPrivilege(error)) throw error;
    return withConnection(dataSource, (runner) => compareHome(runner, tables, self, home, seen));
  }
}

async function settle(
  runner: QueryRunner,
  tables: TablePaths,
  self: ProcessSelf,
  home: BufferHome,
  seen: SeenHome,
): Promise<CounterCacheError | null> {
  await runner.query(`INSERT INTO ${tables.state} ("id", "value") VALUES ('${HOME}', 'null') ON CONFLICT DO NOTHING`);
  const noted = await readHome(runner, tables, 'FOR UPDATE');
  const others = noted === null ? 0 : await countOthers(runner, tables, self, noted.token);
  const refusal = noted === null || others === 0 ? null : refusalOf(noted, home, seen, others);
  // Other processes need not wait for what this one must not use.
  if (refusal !== null) await sayGone(runner, tables, self);
  else await sayAlive(runner, tables, self, await move(runner, tables, { noted, home, seen }));
  return refusal;
}

/** What a role can do that may not write. */
async function compareHome(
  runner: QueryRunner,
  tables: TablePaths,
  self: ProcessSelf,
  home: BufferHome,
  seen: SeenHome,
): Promise<CounterCacheError | null> {
  const noted = await readHome(runner, tables, '');
  const others = noted === null ? 0 : await countOthers(runner, tables, self, noted.token);
  return noted === null || others === 0 ? null : refusalOf(noted, home, seen, others);
}

/** Says that this process lives, if it is where it has to be; returns what is noted. One statement. */
async function sayAliveAt(
  runner: QueryRunner,
  tables: TablePaths,
  self: ProcessSelf,
  { prefix }: BufferHome,
  { token }: SeenHome,
): Promise<NotedHome | null> {
  const { state } = tables;
  const parameters: unknown[] = [];
  const bind = (value: unknown): string => `$${parameters.push(value)}::text`;
  const isHere = `h."value"::jsonb ->> 'token' = ${bind(token)} AND h."value"::jsonb ->> 'prefix' = ${bind(prefix)}`;
  const alive = aliveSql(tables, self, token, bind, `FROM ${state} h WHERE h."id" = '${HOME}' AND ${isHere}`);
  const [row] = await rowsOf(
    runner,
    `WITH "alive" AS (${alive}) SELECT "value" FROM ${state} WHERE "id" = '${HOME}'`,
    parameters,
  );
  return homeOf(row);
}

async function readHome(
  runner: QueryRunner,
  { state }: TablePaths,
  lock: '' | 'FOR UPDATE',
): Promise<NotedHome | null> {
  const [row] = await rowsOf(runner, `SELECT "value" FROM ${state} WHERE "id" = '${HOME}' ${lock}`);
  return homeOf(row);
}

function homeOf(row: ResultRow | undefined): NotedHome | null {
  return row === undefined ? null : (JSON.parse(String(row['value'])) as NotedHome | null);
}

/** Nothing has to be noted; processes may see one server by several addresses. */
function isHome(noted: NotedHome, { prefix }: BufferHome, { token, server, address }: SeenHome): boolean {
  const isRestarted = noted.address === address && noted.server !== server;
  return noted.prefix === prefix && noted.token === token && !isRestarted;
}

/** The same server, with other data perhaps. */
function isSameServer(noted: NotedHome, { server, address }: SeenHome): boolean {
  return (server !== '' && server === noted.server) || address === noted.address;
}

interface Move {
  readonly noted: NotedHome | null;
  readonly home: BufferHome;
  readonly seen: SeenHome;
}

/** Notes where the installation is from now on; returns the token there. */
async function move(runner: QueryRunner, tables: TablePaths, { noted, home, seen }: Move): Promise<string> {
  const { prefix } = home;
  const stays = noted !== null && noted.prefix === prefix && (noted.token === seen.token || isSameServer(noted, seen));
  // What a Redis holds that was left, and is used again, is out of date.
  const isLost = noted !== null && !stays;
  const token = stays ? noted.token : randomBytes(8).toString('hex');
  if (isLost) await runner.query(`UPDATE ${tables.shard} SET "epoch" = "epoch" + 1 WHERE "epoch" > 0`);
  if (seen.token !== token) await home.put(token);
  const { server, address, name } = seen;
  await runner.query(`UPDATE ${tables.state} SET "value" = $1 WHERE "id" = '${HOME}'`, [
    JSON.stringify({ token, prefix, server, address, name } satisfies NotedHome),
  ]);
  return token;
}

function refusalOf(noted: NotedHome, { prefix }: BufferHome, seen: SeenHome, others: number): CounterCacheError | null {
  const users = `${others} other process${others === 1 ? '' : 'es'} of it use${others === 1 ? 's' : ''}`;
  const context = { expected: { prefix: noted.prefix, redis: noted.name }, found: { prefix, redis: seen.name } };
  const advice = 'Use the same in every process; to change it, end all of them first';
  if (noted.prefix !== prefix)
    return new CounterCacheError(
      'STATE_MISMATCH',
      `expected the option 'prefix' of this installation to be '${noted.prefix}' (Redis at ${noted.name}), as ${users}, got: '${prefix}'. ${advice}`,
      context,
    );
  if (noted.token === seen.token || isSameServer(noted, seen)) return null;
  return new CounterCacheError(
    'STATE_MISMATCH',
    `expected the Redis of this installation at ${noted.name} (prefix '${noted.prefix}'), which ${users}, got: another one, at ${seen.name}. ${advice}`,
    context,
  );
}
