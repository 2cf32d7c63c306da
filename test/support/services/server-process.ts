import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SystemUser } from './system-user';
import type { Workspace } from './workspace';

const START_TIMEOUT = 30_000;

/** How to run a server. */
export interface ServerCommand {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly user?: SystemUser | undefined;
  /** Rejects until the server answers. */
  probe(): Promise<void>;
}

/** A server that can be started again after it ended. It never keeps the event loop of this process alive. */
export class ServerProcess {
  readonly #command: ServerCommand;
  readonly #workspace: Workspace;
  #child: ChildProcess | undefined;

  constructor(command: ServerCommand, workspace: Workspace) {
    this.#command = command;
    this.#workspace = workspace;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Process id. Throws when the server does not run. */
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.#command.name} does not run`);
    return this.#child.pid;
  }

  /** Resolves when the server answers; rejects with the end of its log. */
  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.#command.name} already runs`);
    const child = this.#spawn();
    const deadline = performance.now() + START_TIMEOUT;
    for (;;) {
      const failure = await this.#command.probe().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined && this.#child === child) return;
      if (this.#child !== child || performance.now() > deadline) {
        await this.end('SIGKILL');
        throw new Error(`${this.#command.name} did not start:\n${this.#logTail()}`, { cause: failure });
      }
      await delay(20);
    }
  }

  /** Sends a signal, without waiting for what it does. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Sends a signal that ends the server, and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.ref();
    const gone = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT');
    await gone;
  }

  #spawn(): ChildProcess {
    const { name, file, args, user } = this.#command;
    const log = openSync(this.#logFile, 'a');
    const child = spawn(file, args, {
      ...user,
      cwd: this.#workspace.folder,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    const onEnd = (): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#workspace.guard(undefined);
    };
    child.once('exit', onEnd);
    child.once('error', (error) => {
      process.stderr.write(`${name}: ${error.message}\n`);
      onEnd();
    });
    child.unref();
    if (child.pid !== undefined) this.#workspace.guard(child.pid);
    return child;
  }

  get #logFile(): string {
    return join(this.#workspace.folder, 'server.log');
  }

  #logTail(): string {
    return readFileSync(this.#logFile, 'utf8').split('\n').slice(-20).join('\n');
  }
}
