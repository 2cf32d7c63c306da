import type { Counter, Definitions } from './counter/definition';
import { BufferUnavailableError, ConfigurationError, CounterCacheError } from './errors';
import type { Events } from './events';
import { describeTarget } from './jobs/context';

/** Reports targets whose recalculation could not be requested before these counters were closed. */
export function reportUnrequested(events: Events, definitions: Definitions | null, lost: readonly string[]): void {
  const targets = definitions === null ? [] : lost.map((target) => describeTarget(definitions, target));
  const reason = `closed while ${lost.length} targets wait for a recalculation. Run counters.recalculate() for them`;
  events.emit('error', new BufferUnavailableError(reason, { targets }));
}

/** Reports, once, that a counted table was emptied by a statement that returns no rows. */
export function reportTruncated(events: Events, entity: string): void {
  const advice = 'Run counters.recalculate() afterwards, or delete() the rows instead';
  const message = `${entity} was emptied by TRUNCATE (clear()), which no counter can see. ${advice}`;
  events.reportOnce('truncate', new CounterCacheError('UNSEEN_WRITE', message, { entity }));
}

/** Reports, once per type, a polymorphic type that has no target. */
export function reportUnknownType(events: Events, counter: Counter, type: string): void {
  const advice = 'Add it to `polymorphic.targets`, or to `polymorphic.ignore` if it has no counter';
  const message = `${counter.label}: rows of type '${type}' have no target and are not counted. ${advice}`;
  events.reportOnce(`type ${counter.name} ${type}`, new ConfigurationError([message]));
}
