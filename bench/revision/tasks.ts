import type { Method } from '../contention/variants';

/** Writes of posts. */
export interface Writing {
  readonly name: string;
  readonly method: Method;
  /** Rows of a transaction. */
  readonly rows: number;
  /** Authors among whom they are. */
  readonly parents: number;
}

/** What both builds do: they write, or apply what 20,000 targets have pending. */
export type Task = Writing | { readonly name: 'flush' };

function writing(method: Method, rows: number, parents: number): Writing {
  const among = parents === 1 ? '1 hot parent' : `${parents.toLocaleString('en')} parents`;
  return { name: `${method}() of ${rows}, ${among}`, method, rows, parents };
}

export const TASKS: readonly Task[] = [
  writing('save', 1, 1),
  writing('save', 1, 1_000),
  writing('save', 20, 1_000),
  writing('transaction', 1, 1),
  writing('insert', 1, 1),
  { name: 'flush' },
];
