import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder to which every process of a run writes what it does, each to a file of its own. */
export class RunJournal {
  readonly folder = mkdtempSync(join(tmpdir(), 'counter-cache-load-'));

  /** How many lines of all files match. */
  count(pattern: RegExp): number {
    return readdirSync(this.folder)
      .flatMap((name) => readFileSync(join(this.folder, name), 'utf8').split('\n'))
      .filter((line) => pattern.test(line)).length;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Writes a line at once: SIGKILL must not take it. */
export function note(folder: string, file: string, text: string): void {
  appendFileSync(join(folder, `${file}.log`), `${new Date().toISOString()} ${text}\n`);
}
