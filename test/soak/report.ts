import type { Outcome } from './slow-writer';

/** What a process tells: how its work ended since it began, or how much it keeps in memory. */
export type Report =
  | {
      readonly kind: 'work';
      readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
      /** Errors that no application should see, by message. */
      readonly odd: Readonly<Record<string, number>>;
      /** Events of the counters, by name. */
      readonly events: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'memory';
      /** Bytes after garbage collection. */
      readonly heap: number;
      readonly resident: number;
    };

/** What all processes have told, also those that are dead. */
export class Reports {
  readonly #work = new Map<string, Extract<Report, { kind: 'work' }>>();
  readonly #memory = new Map<string, Extract<Report, { kind: 'memory' }>>();

  add(name: string, message: unknown): void {
    const report = message as Report;
    if (report.kind === 'work') this.#work.set(name, report);
    else if (report.kind === 'memory') this.#memory.set(name, report);
  }

  /** The memory of a process, told since {@link forgetMemory}. */
  memoryOf(name: string): Extract<Report, { kind: 'memory' }> | undefined {
    return this.#memory.get(name);
  }

  forgetMemory(): void {
    this.#memory.clear();
  }

  /** Processes that have committed something. */
  committers(): string[] {
    return [...this.#work].filter(([, { outcomes }]) => (outcomes.committed ?? 0) > 0).map(([name]) => name);
  }

  sum(part: 'outcomes' | 'odd' | 'events'): Record<string, number> {
    const total: Record<string, number> = {};
    for (const report of this.#work.values())
      for (const [name, count] of Object.entries(report[part])) total[name] = (total[name] ?? 0) + count;
    return total;
  }
}
