import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** An unprivileged user of this machine. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** The user to run PostgreSQL as, which refuses to run as root; `undefined` when we are not root. */
export function unprivilegedUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const user = findUser('postgres') ?? findUser('nobody');
  if (user === undefined) throw new Error("PostgreSQL cannot run as root, and there is no user 'postgres' or 'nobody'");
  return user;
}

/** Whether `user` may read (and execute, or enter) `path`, by the permissions of the path and of the folders above. */
export function isReachable(path: string, user: SystemUser): boolean {
  if (!permits(path, user, 0o5)) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!permits(folder, user, 0o1)) return false;
    if (folder === dirname(folder)) return true;
  }
}

function permits(path: string, { uid }: SystemUser, bits: number): boolean {
  const stats = statSync(path);
  const wanted = stats.uid === uid ? bits << 6 : bits;
  return (stats.mode & wanted) === wanted;
}

function findUser(name: string): SystemUser | undefined {
  try {
    return { uid: readId('-u', name), gid: readId('-g', name) };
  } catch {
    return undefined;
  }
}

function readId(flag: '-u' | '-g', name: string): number {
  return Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
}
