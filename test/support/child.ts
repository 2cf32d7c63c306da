import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** A process that runs one of our TypeScript files. */
export interface Child extends ChildProcess {
  readonly stdout: Readable;
}

/**
 * Runs a TypeScript file in a process of its own, to be killed at will. Its stderr is ours; it may `process.send`.
 * `flags` are Node's.
 */
export function startChild(file: string, env: NodeJS.ProcessEnv = {}, flags: readonly string[] = []): Child {
  const args = [...flags, '--enable-source-maps', '-r', join(__dirname, 'register.js'), file];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  }) as Child;
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

const children = new Set<Child>();

/** Ends processes that a test left behind, and tells how many there were. */
export function killChildren(): number {
  const left = children.size;
  for (const child of children) child.kill('SIGKILL');
  return left;
}
