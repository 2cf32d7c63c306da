import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Client } from 'pg';

import { startPostgres, startRedis } from '../test/support/services';

/** The root of the repository, seen from bench/dist/bench. */
export const ROOT = join(__dirname, '../../..');

/** Processes that want to run, on average over the last minute. */
const QUIET = 0.5;

/** Before the first benchmark of this run: each leaves a load behind for the next. */
const LOAD = loadavg()[0] ?? 0;

/** Servers of one benchmark alone, with an empty database. */
export interface Environment {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** What the figures depend on: machine, versions, settings. */
  readonly facts: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts a PostgreSQL and a Redis of our own: given ones would have settings and neighbours that we do not know. */
export async function startEnvironment(settings: Readonly<Record<string, string>>): Promise<Environment> {
  const starting = [startPostgres({ settings }), startRedis()] as const;
  const stop = async (): Promise<void> => {
    const started = await Promise.allSettled(starting);
    await Promise.all(started.map(async (server) => server.status === 'fulfilled' && server.value.stop()));
  };
  try {
    const [{ url: databaseUrl }, { url: redisUrl }] = await Promise.all(starting);
    const servers = { ...(await postgresFacts(databaseUrl)), ...(await redisFacts(redisUrl)) };
    const facts = { ...machineFacts(), 'Load before the run': loadFact(LOAD), ...versionFacts(), ...servers };
    return { databaseUrl, redisUrl, facts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Whoever reads the figures later must know whether others were at work. */
function loadFact(load: number): string {
  return `${load.toFixed(2)}${load < QUIET ? '' : ': not a quiet machine, run it again'}`;
}

function machineFacts(): Record<string, string> {
  const processors = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return {
    Machine: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}, ${memory} GiB, ${type()}`,
  };
}

function versionFacts(): Record<string, string> {
  const packages = ['typeorm', 'pg', 'ioredis', 'bullmq'];
  const versions = packages.map((name) => `${name} ${versionIn(join('node_modules', name))}`);
  return {
    Library: [versionIn('.'), commit()].filter((text) => text !== '').join(', '),
    Runtime: [`Node ${process.versions.node}`, ...versions].join(', '),
  };
}

function versionIn(folder: string): string {
  return (JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Empty where there is no git repository. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['--no-optional-locks', ...args], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes';
    return `commit ${git('rev-parse', '--short', 'HEAD')}${changed}`;
  } catch {
    return '';
  }
}

async function postgresFacts(url: string): Promise<Record<string, string>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const version = await client.query<{ server_version: string }>('SHOW server_version');
    // What was given to the server when it was started; where it listens is nobody's business.
    const given = await client.query<{ name: string; setting: string }>(
      `SELECT name, setting FROM pg_settings WHERE source = 'command line'
          AND name NOT IN ('port', 'listen_addresses', 'unix_socket_directories') ORDER BY name`,
    );
    const settings = given.rows.map(({ name, setting }) => `${name} ${setting}`).join(', ');
    return { PostgreSQL: `${version.rows[0]?.server_version ?? 'unknown'} on loopback: ${settings}` };
  } finally {
    await client.end();
  }
}

async function redisFacts(url: string): Promise<Record<string, string>> {
  const client = new Redis(url);
  try {
    const [, version] = /^redis_version:(.*)$/m.exec(await client.info('server')) ?? [];
    return { Redis: `${version?.trim() ?? 'unknown'} on loopback, nothing on disk` };
  } finally {
    client.disconnect();
  }
}
