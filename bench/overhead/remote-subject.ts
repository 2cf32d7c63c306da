import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { Variant } from '../rounds';
import type { Request } from './never-attached';
import type { Operation } from './operations';
import type { Figures } from './subject';

/** The same in a process of its own, in which counters are never attached. */
export class RemoteSubject implements Variant<Figures> {
  readonly name = 'never attached';
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(databaseUrl: string) {
    this.#child = fork(join(__dirname, 'never-attached.js'), [databaseUrl]);
    this.#ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('the other process ended')));
    // Nobody may be waiting for it.
    this.#ended.catch(() => undefined);
  }

  /** Resolves when the process has connected. */
  static async start(databaseUrl: string): Promise<RemoteSubject> {
    const subject = new RemoteSubject(databaseUrl);
    await subject.#message();
    return subject;
  }

  async open({ name }: Operation): Promise<void> {
    await this.#ask({ open: name });
  }

  async sample(): Promise<Figures> {
    return (await this.#ask({})) as Figures;
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  async #ask(request: Request): Promise<unknown> {
    const answer = this.#message();
    this.#child.send({ ...request });
    return answer;
  }

  async #message(): Promise<unknown> {
    const [message] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as unknown[];
    return message;
  }
}
