import { join } from 'node:path';

import { Child } from '../child';
import type { Variant } from '../rounds';
import type { Request } from './never-attached-program';
import type { Operation } from './operations';
import type { Figures } from './subject';

/** The same in a process of its own, in which counters are never attached. */
export class RemoteSubject implements Variant<Figures> {
  readonly name = 'never attached';
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Resolves when the process has connected. */
  static async start(databaseUrl: string): Promise<RemoteSubject> {
    return new RemoteSubject(await Child.start(join(__dirname, 'never-attached-program.js'), databaseUrl));
  }

  async open({ name }: Operation): Promise<void> {
    await this.#ask({ open: name });
  }

  sample(): Promise<Figures> {
    return this.#ask({});
  }

  close(): Promise<void> {
    return this.#child.close();
  }

  #ask<Answer>(request: Request): Promise<Answer> {
    return this.#child.ask(request);
  }
}
