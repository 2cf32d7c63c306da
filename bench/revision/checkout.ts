import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ROOT } from '../environment';

/** A revision that is built in a folder of its own, with the dependencies of this one. */
export interface Checkout {
  readonly root: string;
  /** Its hash and its subject. */
  readonly title: string;
  remove(): void;
}

/** @throws what git or the build prints */
export function checkOut(revision: string): Checkout {
  const parent = mkdtempSync(join(tmpdir(), 'counter-cache-revision-'));
  const root = join(parent, 'tree');
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' });
  const remove = (): void => {
    rmSync(parent, { recursive: true, force: true });
    git('worktree', 'prune');
  };
  try {
    git('worktree', 'add', '--detach', root, revision);
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    execFileSync(process.execPath, ['.ci/build.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
    return { root, title: git('log', '-1', '--format=%h %s', revision).trim(), remove };
  } catch (error) {
    remove();
    throw error;
  }
}
