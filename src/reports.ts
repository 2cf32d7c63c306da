import type { Counter, Definitions } from './model/definition';
import { quote } from './describe';
import { BufferUnavailableError, ConfigurationError, CounterCacheError } from './errors';
import type { Events } from './events';
import { describeTarget } from './engines/context';
import { isNotPermitted } from './dialects/postgres/permissions/permissions';

/** A table whose rows count was emptied by TRUNCATE. */
export function reportTruncated(events: Events, entity: string): void {
  const advice = 'Run counters.recalculate() afterwards, or delete() the rows instead';
  const message = `${entity} was emptied by TRUNCATE (clear()), which no counter can see. ${advice}`;
  events.reportOnce('truncate', new CounterCacheError('UNSEEN_WRITE', message, { entity }));
}

/** A transaction that was to be refused was ended by a command that TypeORM did not send. */
export function reportUnseenEnd(events: Events, refusal: Error): void {
  const reason = `a transaction was ended without TypeORM, though a write of it cannot be counted: ${refusal.message}`;
  const advice = 'End transactions through TypeORM, and run counters.recalculate() if that one was committed';
  events.emit('error', new CounterCacheError('UNSEEN_WRITE', `${reason}. ${advice}`, {}, { cause: refusal }));
}

/** Reports, once per counter and type and for the first types of a counter only, that rows of a type have no target. */
export function reportUnknownType(events: Events, counter: Counter, type: string): void {
  const report = (): Error => {
    const advice = 'Add it to `polymorphic.targets`, or to `polymorphic.ignore` if it has no counter';
    const message = `${counter.label}: rows of type ${quote(type)} have no target and are not counted. ${advice}`;
    return new ConfigurationError([message]);
  };
  events.reportOnce(type, report, `types of ${counter.name}`);
}

/** Targets whose recalculation could not be requested before the end. */
export function reportForgotten(events: Events, definitions: Definitions | null, lost: readonly string[]): void {
  const targets = definitions === null ? [] : lost.map((target) => describeTarget(definitions, target));
  const reason = `closed while ${lost.length} targets wait for a recalculation. Run counters.recalculate() for them`;
  events.emit('error', new BufferUnavailableError(reason, { targets }));
}

/** Reports what went wrong in the background, unless this process may not do it: a worker that may finds it undone. */
export function reportUnlessLeft(events: Events, error: unknown): void {
  if (!isNotPermitted(error)) events.emit('error', error);
}
