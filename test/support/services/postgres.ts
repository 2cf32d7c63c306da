import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { startOnFreePort } from './free-port';
import { type PostgresBinaries, type PostgresVersion, locatePostgres } from './postgres-binaries';
import { ServerProcess } from './server-process';
import { type SystemUser, unprivilegedUser } from './system-user';
import { type Workspace, createWorkspace } from './workspace';

/** A PostgreSQL server of our own, with an empty database `postgres`. */
export interface PostgresServer {
  /** Connection string of a superuser. */
  readonly url: string;
  readonly port: number;
  /** Process id. Throws when the server does not run. */
  readonly pid: number;
  /** Ends the server as a crash would: every connection breaks, and what was not committed is lost. */
  kill(): Promise<void>;
  /** Starts the server again with its data and its port, after killing it if it still runs. */
  restart(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** Options of {@link startPostgres}. */
export interface PostgresOptions {
  /** Server settings that replace or add to ours: `{ fsync: 'on' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Major version. @defaultValue 18 */
  readonly version?: PostgresVersion;
}

// Without fsync a crash of the *machine* loses data, which is nothing to tests and to the example. A crash of the
// server alone does not: the operating system still holds what was written.
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  full_page_writes: 'off',
};

/** Starts a PostgreSQL of our own on a free port of 127.0.0.1, with its data in a temporary folder. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = unprivilegedUser();
  const workspace = createWorkspace('postgres', user);
  try {
    const { version = 18 } = options;
    const binaries = locatePostgres(workspace.folder, user, version);
    const password = randomBytes(12).toString('hex');
    await createCluster(binaries, workspace, password, { user, version });
    return await startOnFreePort(async (port) => {
      const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
      const args = serverArguments(workspace, port, options);
      const command = { name: 'PostgreSQL', file: binaries.postgres, args, user, probe: () => probe(url) };
      const server = new ServerProcess(command, workspace);
      await server.start();
      return handle(server, workspace, url, port);
    });
  } catch (error) {
    await workspace.remove();
    throw error;
  }
}

function handle(server: ServerProcess, workspace: Workspace, url: string, port: number): PostgresServer {
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    kill: () => server.end('SIGQUIT'),
    async restart() {
      await server.end('SIGQUIT');
      await server.start();
    },
    async stop() {
      await server.end('SIGINT');
      await workspace.remove();
    },
  };
}

async function createCluster(
  { initdb }: PostgresBinaries,
  { folder }: Workspace,
  password: string,
  { user, version }: { readonly user: SystemUser | undefined; readonly version: PostgresVersion },
): Promise<void> {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid);
  // PostgreSQL's own C.UTF-8 where it has one, because a small machine has no UTF-8 locale.
  const builtin = version < 17 ? [] : ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const locale = ['--encoding=UTF8', '--locale=C', ...builtin];
  const access = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=password'];
  const args = [`--pgdata=${join(folder, 'data')}`, ...locale, ...access, '--no-sync', '--no-instructions'];
  await promisify(execFile)(initdb, args, { ...user, cwd: folder });
  rmSync(passwordFile);
}

function serverArguments({ folder }: Workspace, port: number, { settings }: PostgresOptions): string[] {
  const all = Object.entries({ ...SETTINGS, ...settings });
  return [
    '-D',
    join(folder, 'data'),
    '-p',
    String(port),
    ...all.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

async function probe(connectionString: string): Promise<void> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000 });
  // A server that is still starting may also break an open connection, which is told by an event only.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end();
  }
}
