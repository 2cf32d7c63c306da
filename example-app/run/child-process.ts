import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import type { ChildMessage } from '../messages';

const STOP_TIMEOUT = 10_000;

/** How to start a process of the service. */
export interface ChildOptions {
  readonly name: string;
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onMessage: (message: ChildMessage) => void;
  /** It ended, and nobody had asked it to. */
  readonly onFailure: (error: Error) => void;
}

/** A process of the service. It ends with this one, however this one ends. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  /** Resolves when it says that it is ready, with its URL if it has one. */
  readonly ready: Promise<string>;
  #stopping = false;

  constructor({ name, file, env, onMessage, onFailure }: ChildOptions) {
    // In a process group of its own: Ctrl-C is for us, and we stop the parts in the right order.
    const child = fork(file, [], { env: { ...process.env, ...env }, detached: true });
    this.#child = child;
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message: ChildMessage) => {
        if (message.kind === 'ready') resolve(message.url ?? '');
        else onMessage(message);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        const error = new Error(`the ${name} ended unexpectedly (${signal ?? `exit code ${code}`})`);
        reject(error);
        if (!this.#stopping) onFailure(error);
      });
    });
  }

  /** Asks it to end, and waits; ends it by force if it does not. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT);
    await gone;
    clearTimeout(deadline);
  }
}
