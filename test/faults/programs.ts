import { join } from 'node:path';

import type { Mode } from 'typeorm-counter-cache';

import { type Child, startChild } from '../support/child';

/** Where a program kills itself. */
export type KillPoint =
  | 'none'
  | 'after-claim'
  | 'before-acknowledge'
  | 'before-confirm'
  | 'after-lease'
  | 'before-finalize'
  | 'after-finalize'
  | 'after-outbox-insert'
  | 'after-outbox-delete'
  | 'after-commit';

interface ProgramOptions {
  readonly databaseUrl: string;
  /** @defaultValue 'buffered' */
  readonly mode?: Mode;
  readonly killAt: KillPoint;
}

/** A worker process that kills itself at a point. */
export function startWorkerProgram(options: ProgramOptions): Child {
  return startChild(join(__dirname, 'worker-program.ts'), environment(options));
}

/** A process that adds `posts` posts to an author, one transaction each, and kills itself at a point of the last one. */
export function startWriterProgram(
  options: ProgramOptions & { readonly authorId: number; readonly posts: number; readonly alone?: boolean },
): Child {
  return startChild(join(__dirname, 'writer-program.ts'), {
    ...environment(options),
    AUTHOR: String(options.authorId),
    POSTS: String(options.posts),
    ALONE: String(options.alone ?? true),
  });
}

function environment({ databaseUrl, killAt, mode = 'buffered' }: ProgramOptions): NodeJS.ProcessEnv {
  return { PROGRAM_DATABASE: databaseUrl, KILL_AT: killAt, MODE: mode };
}

/** How a process ended. */
export function ended(child: Child): Promise<string> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? String(code))));
}
