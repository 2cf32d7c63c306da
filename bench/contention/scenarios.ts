import type { Skew } from './picker';
import type { Method } from './variants';

/** What the clients write. */
export interface Scenario {
  readonly name: string;
  readonly method: Method;
  /** Rows of a transaction. */
  readonly rows: number;
  readonly parents: number;
  readonly skew: Skew;
}

function scenario(method: Method, rows: number, parents: number, skew: Skew): Scenario {
  const [transaction, among] = [rows === 1 ? '1 row' : `${rows} rows`, parents.toLocaleString('en')];
  const name = `${method}(), ${transaction}, ${parents === 1 ? '1 hot parent' : `${among} parents, ${skew}`}`;
  return { name, method, rows, parents, skew };
}

/** The parents that exist. */
export const PARENTS = 100_000;

function hot(method: Method): Scenario[] {
  return [1, 20].map((rows) => scenario(method, rows, 1, 'uniform'));
}

export const SCENARIOS: readonly Scenario[] = [
  scenario('save', 1, 1, 'uniform'),
  ...[10, 1_000, PARENTS].flatMap((parents) =>
    (['uniform', 'zipf'] as const).map((skew) => scenario('save', 1, parents, skew)),
  ),
  ...[1, 1_000, PARENTS].map((parents) => scenario('save', 20, parents, 'uniform')),
  ...hot('transaction'),
  ...hot('insert'),
];
