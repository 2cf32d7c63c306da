import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A process of its own that answers each message with one. */
export class Remote {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(file: string, args: readonly string[], execArgv: readonly string[]) {
    this.#child = fork(join(__dirname, `${file}.js`), args, { execArgv: [...process.execArgv, ...execArgv] });
    this.#ended = once(this.#child, 'exit').then(() => Promise.reject(new Error(`the process '${file}' ended`)));
    // Nobody may be waiting for it.
    this.#ended.catch(() => undefined);
  }

  /** Resolves when the process has said that it is ready. */
  static async start(file: string, args: readonly string[], execArgv: readonly string[] = []): Promise<Remote> {
    const remote = new Remote(file, args, execArgv);
    await remote.#message();
    return remote;
  }

  async ask<Answer>(message: string): Promise<Answer> {
    const answer = this.#message();
    this.#child.send(message);
    return (await answer) as Answer;
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  async #message(): Promise<unknown> {
    const [message] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as unknown[];
    return message;
  }
}
