/** What a process does with one table. */
export interface TableNeed {
  /** As metadata give it, unescaped. */
  readonly path: string;
  /** Columns that it reads; `every` for one of the library's own tables. */
  readonly select: ReadonlySet<string> | 'every';
  /** Columns that it changes, or `every`. */
  readonly update: ReadonlySet<string> | 'every';
  readonly insert: boolean;
  readonly delete: boolean;
  /** Locks rows, which takes the privilege to change some column. */
  readonly locks?: boolean;
}

const NOTHING: ReadonlySet<string> = new Set();

/** Reads all columns of one of the library's own tables, and does with it what else is named. */
export function ownNeed(path: string, more: Partial<Omit<TableNeed, 'path' | 'select'>> = {}): TableNeed {
  return { path, select: 'every', update: NOTHING, insert: false, delete: false, ...more };
}

/** What is done with tables of users: columns that are read, and columns that are changed, by table. */
export class Needs {
  readonly #tables = new Map<string, { readonly select: Set<string>; readonly update: Set<string> }>();

  add(path: string, { select = [], update = [] }: { select?: Iterable<string>; update?: Iterable<string> }): void {
    const known = this.#tables.get(path) ?? { select: new Set(), update: new Set() };
    this.#tables.set(path, known);
    for (const name of select) known.select.add(name);
    for (const name of update) known.update.add(name);
  }

  list(): readonly TableNeed[] {
    return [...this.#tables].map(([path, columns]) => ({ path, ...columns, insert: false, delete: false }));
  }
}
