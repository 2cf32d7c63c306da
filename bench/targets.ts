import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ResultTable, Target } from './benchmark';

/** What a benchmark has written of its last run. */
interface Written {
  readonly name: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly targets?: readonly Target[];
}

/** The targets of all benchmarks, each by its last run; `order` names the benchmarks. */
export function targetsTable(folder: string, order: readonly string[]): ResultTable {
  const written = readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Written)
    .toSorted((left, right) => order.indexOf(left.name) - order.indexOf(right.name));
  return {
    title: 'Targets',
    columns: ['what', 'target', 'measured', 'met', 'benchmark', 'library'],
    rows: written.flatMap(({ name, facts, targets = [] }) =>
      targets.map(({ what, bound, measured, isMet }) => [
        what,
        bound,
        measured,
        isMet ? 'yes' : 'no',
        name,
        facts['Library'] ?? '',
      ]),
    ),
  };
}
