import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Target } from './benchmark';
import { ROOT } from './environment';

/** What a benchmark has written of its last run: bench/results/<name>.json. */
export interface Written {
  readonly name: string;
  /** What the figures depend on: machine, versions, settings. */
  readonly facts: Readonly<Record<string, string>>;
  readonly targets: readonly Target[];
  readonly notes: readonly string[];
  readonly figures: unknown;
}

/** The folder of what benchmarks have written. */
export const FOLDER = join(ROOT, 'bench/results');

/** Writes the file of a run, and returns its path. */
export function writeJson(run: Written): string {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(fileOf(run.name), `${JSON.stringify(run, null, 2)}\n`);
  return fileOf(run.name);
}

/** The last run of a benchmark; `null` when it has never been run. */
export function readJson(name: string): Written | null {
  try {
    return JSON.parse(readFileSync(fileOf(name), 'utf8')) as Written;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function fileOf(name: string): string {
  return join(FOLDER, `${name}.json`);
}
