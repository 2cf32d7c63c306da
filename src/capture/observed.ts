/** What the driver answered to one statement; TypeORM reads `rows` only after `afterQuery` has seen it. */
export interface RawResult {
  rows: Record<string, unknown>[];
}

const observers = new WeakMap<object, (result: RawResult) => void>();

/**
 * Lets `observer` see the answer to the statement that is sent with this very array of parameters. It runs inside
 * `afterQuery`, that is, in the order in which the server answered, whatever else TypeORM awaits before it goes on.
 */
export function observe(parameters: readonly unknown[], observer: (result: RawResult) => void): void {
  observers.set(parameters, observer);
}

/** Tells the observer of a statement, if it has one. */
export function notifyObserver(parameters: unknown, result: unknown): void {
  if (typeof parameters !== 'object' || parameters === null) return;
  const observer = observers.get(parameters);
  if (observer === undefined) return;
  observers.delete(parameters);
  observer(result as RawResult);
}
