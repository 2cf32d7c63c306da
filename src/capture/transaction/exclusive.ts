import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { QueryRunner } from 'typeorm';

type Query = QueryRunner['query'];

/** A turn on a query runner; over once its work has settled. */
interface Turn {
  readonly runner: QueryRunner;
  /** The turn, on another runner, that this one was made in. */
  readonly outer: Turn | undefined;
  over: boolean;
}

/** The turns taken and waiting on one query runner. */
interface Queue {
  turns: number;
  /** Settles when the last turn so far is over. */
  tail: Promise<void>;
  /** Gives the runner its own `query()` back. */
  readonly release: () => void;
}

const current = new AsyncLocalStorage<Turn>();
const queues = new WeakMap<QueryRunner, Queue>();

/**
 * Runs several statements on a query runner that others may use at the same time, with none of theirs in between: their
 * calls of `query()` wait. Calls made inside `work` itself pass.
 */
export function exclusively<T>(runner: QueryRunner, work: () => Promise<T>): Promise<T> {
  const outer = current.getStore();
  if (isInside(outer, runner)) return work();
  const turn: Turn = { runner, outer, over: false };
  const queue = queues.get(runner) ?? holdBack(runner);
  queue.turns += 1;
  const result = queue.tail.then(() => current.run(turn, work));
  const finish = (): void => {
    turn.over = true;
    queue.turns -= 1;
    if (queue.turns === 0) queue.release();
  };
  queue.tail = result.then(finish, finish);
  return result;
}

/** Whether others have several statements to send on a query runner, or are sending them. */
export function hasTurns(runner: QueryRunner): boolean {
  return queues.has(runner);
}

/** Makes `query()` of the runner wait while there are turns. */
function holdBack(runner: QueryRunner): Queue {
  const own = Object.getOwnPropertyDescriptor(runner, 'query');
  const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
  const queue: Queue = {
    turns: 0,
    // Statements that were sent a moment ago have yet to be seen by our subscriber.
    tail: nextTurn(),
    release: () => {
      queues.delete(runner);
      if (own === undefined) Reflect.deleteProperty(runner, 'query');
      else Object.defineProperty(runner, 'query', own);
    },
  };
  queues.set(runner, queue);
  const waiting = async (...args: unknown[]): Promise<unknown> => {
    while (queue.turns > 0 && !isInside(current.getStore(), runner)) await queue.tail;
    return query(...args);
  };
  runner.query = waiting as Query;
  return queue;
}

function isInside(turn: Turn | undefined, runner: QueryRunner): boolean {
  for (let at = turn; at !== undefined; at = at.outer) if (at.runner === runner && !at.over) return true;
  return false;
}
