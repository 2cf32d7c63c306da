import { FAILURES, WRITES } from './kinds';
import type { Kinds } from './kinds/kind';

/** Columns of the printed table. */
const COLUMNS = 3;

interface Count {
  done: number;
  failed: number;
}

/** How often each kind of write, and each shape of a transaction, occurred. */
export class Tally {
  readonly #counts = new Map<string, Count>();
  /** Kinds of a setting: what they do may be refused each time. */
  readonly #attempts = new Set<string>();

  constructor() {
    for (const name of [...Object.keys(WRITES), ...Object.keys(FAILURES)])
      this.#counts.set(name, { done: 0, failed: 0 });
  }

  /** Expects kinds that only a setting has. */
  expect(writes: Kinds): void {
    for (const name of Object.keys(writes)) {
      this.#attempts.add(name);
      this.#count(name);
    }
  }

  add(name: string, times = 1): void {
    this.#count(name).done += times;
  }

  addFailure(name: string): void {
    this.#count(name).failed += 1;
  }

  #count(name: string): Count {
    const count = this.#counts.get(name) ?? { done: 0, failed: 0 };
    this.#counts.set(name, count);
    return count;
  }

  /** Kinds that never ended as they should: failures with an error, those of a setting with or without, all others without. */
  missing(): string[] {
    return [...this.#counts]
      .filter(([name, { done, failed }]) => {
        if (this.#attempts.has(name)) return done + failed === 0;
        return (name in FAILURES ? failed : done) === 0;
      })
      .map(([name]) => name);
  }

  /** `done+failed name`, in columns. */
  table(title: string): string {
    const cells = [...this.#counts].map(([name, { done, failed }]) => {
      const count = failed === 0 ? String(done) : `${done}+${failed}`;
      return `${count.padStart(9)} ${name}`.padEnd(64);
    });
    const lines = Array.from({ length: Math.ceil(cells.length / COLUMNS) }, (_, i) =>
      cells
        .slice(i * COLUMNS, (i + 1) * COLUMNS)
        .join('')
        .trimEnd(),
    );
    return [`${title}, how often (done+failed):`, ...lines].join('\n');
  }
}
