import type { Counter } from './counter/definition';
import { quote } from './describe';
import { ConfigurationError, CounterCacheError } from './errors';
import type { Events } from './events';

/** Reports, once, that a table was emptied in a way that cannot be seen. */
export function reportTruncated(events: Events, entity: string): void {
  const advice = 'Run counters.recalculate() afterwards, or delete() the rows instead';
  const message = `${entity} was emptied by TRUNCATE (clear()), which no counter can see. ${advice}`;
  events.reportOnce('truncate', new CounterCacheError('UNSEEN_WRITE', message, { entity }));
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
