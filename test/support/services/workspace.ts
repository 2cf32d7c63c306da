import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SystemUser, isReachable } from './system-user';

/** A temporary folder that goes away with this process, together with the server that runs in it. */
export interface Workspace {
  readonly folder: string;
  /** Names the server that must not outlive this process; `undefined` when none runs. */
  guard(pid: number | undefined): void;
  /** Removes the folder. */
  remove(): Promise<void>;
}

// A process of its own, so that it also cleans up after a SIGKILL of the parent. It reads process ids from a pipe
// until the pipe ends, which the kernel takes care of however the parent dies. SIGQUIT, because after a SIGKILL of its
// first process PostgreSQL leaves shared memory behind.
const WATCHDOG = `
  pid=
  while read -r line; do pid=$line; done
  if [ -n "$pid" ]; then
    kill -CONT "$pid"; kill -QUIT "$pid"
    tries=0
    while kill -0 "$pid" && [ $tries -lt 60 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -KILL "$pid"
  fi
  rm -rf "$1"`;

/** Creates a temporary folder, readable by `owner` only. */
export function createWorkspace(name: string, owner?: SystemUser): Workspace {
  const parent = owner === undefined || isReachable(tmpdir(), owner) ? tmpdir() : '/tmp';
  const folder = mkdtempSync(join(parent, `counter-cache-${name}-`));
  if (owner !== undefined) execFileSync('chown', [`${owner.uid}:${owner.gid}`, folder]);
  const watchdog = startWatchdog(folder);
  return {
    folder,
    guard: (pid) => void watchdog.stdin?.write(`${pid ?? ''}\n`),
    async remove() {
      if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
      watchdog.ref();
      const gone = once(watchdog, 'exit');
      watchdog.stdin?.end();
      await gone;
    },
  };
}

function startWatchdog(folder: string): ChildProcess {
  // Detached: Ctrl-C reaches the whole process group, and would end the watchdog before the server.
  const options = { cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore'] as const };
  const watchdog = spawn('sh', ['-c', WATCHDOG, 'counter-cache-watchdog', folder], {
    ...options,
    stdio: [...options.stdio],
  });
  watchdog.on('error', (error) => process.stderr.write(`no watchdog for ${folder}: ${error.message}\n`));
  watchdog.stdin.on('error', () => {});
  watchdog.unref();
  // A pipe of a child is a socket, though its type does not say so.
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}
