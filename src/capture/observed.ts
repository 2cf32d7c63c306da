import { Slot } from '../model/slot';

/** What the driver answered to one statement; TypeORM reads `rows` only after `afterQuery` has seen it. */
export interface RawResult {
  rows: Record<string, unknown>[];
}

const observers = new Slot<object, (result: RawResult) => void>();

/**
 * Lets `observer` see the answer to the statement that is sent with this very array of parameters. It runs inside
 * `afterQuery`, that is, in the order in which the server answered, whether or not TypeORM awaits something else first.
 * Once the statement is over, {@link unobserve} has to be called.
 */
export function observe(parameters: readonly unknown[], observer: (result: RawResult) => void): void {
  observers.set(parameters, observer);
}

/** Calls the observer of a statement, if it has one. */
export function notifyObserver(parameters: unknown, result: unknown): void {
  if (typeof parameters !== 'object' || parameters === null) return;
  const observer = observers.get(parameters);
  if (observer === undefined) return;
  observers.set(parameters, undefined);
  observer(result as RawResult);
}

/** The statement failed, or was never sent. */
export function unobserve(parameters: readonly unknown[]): void {
  observers.set(parameters, undefined);
}
