import type { SqlQuery } from '../dialects/postgres/query';
import { wrapOnce } from './wrap-once';
import type { WriteBuilder } from './write-builder';

/** Where a builder keeps who is told that its statement is about to be sent: a symbol that two copies of this package share. */
const LISTENER = Symbol.for('typeorm-counter-cache.sending');
const WRAPPED = Symbol.for('typeorm-counter-cache.sending.wrapped');

type Listener = (query: SqlQuery) => void;
type Heard = WriteBuilder & { [LISTENER]?: Listener | undefined };

/**
 * Lets builders of a prototype tell that their statement is about to be sent, once per process: `execute` asks for its text
 * and its parameters right before.
 */
export function wrapSending(prototype: WriteBuilder): void {
  wrapOnce(prototype, 'getQueryAndParameters', WRAPPED, (original) => {
    return function (this: Heard): SqlQuery {
      const query = original.call(this);
      this[LISTENER]?.(query);
      return query;
    };
  });
}

/**
 * Tells `listener` the builder's statement when it is about to be sent, which `listener` may change; what it throws keeps
 * the statement from being sent. Until {@link stopHearing} is called.
 */
export function onBeforeSend(builder: Heard, listener: Listener): void {
  builder[LISTENER] = listener;
}

export function stopHearing(builder: Heard): void {
  builder[LISTENER] = undefined;
}
