import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';

/** A process of a benchmark, which answers one request after the other. */
export class Child {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(file: string, args: readonly string[]) {
    this.#child = fork(file, args);
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${String(code)}`);
    });
    // Nobody may be waiting for it.
    this.#ended.catch(() => undefined);
  }

  /** Resolves when the program says that it is ready. */
  static async start(file: string, ...args: string[]): Promise<Child> {
    const child = new Child(file, args);
    await child.#message();
    return child;
  }

  async ask<Answer>(request: Serializable): Promise<Answer> {
    const answer = this.#message();
    this.#child.send(request);
    return (await answer) as Answer;
  }

  /** Lets the program close what it has opened. */
  async close(): Promise<void> {
    const gone = this.#ended.catch(() => undefined);
    if (this.#child.connected) this.#child.disconnect();
    await gone;
  }

  async #message(): Promise<unknown> {
    const [message] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as unknown[];
    return message;
  }
}

/** The other side: a program that answers requests until its parent disconnects. */
export function serve(answer: (request: unknown) => Promise<Serializable>, close: () => Promise<void>): void {
  process.on('message', (request: unknown) => {
    answer(request).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => void close());
  process.send?.('ready');
}
