import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';

import { checkArgument } from './check-arguments';
import { quote } from './describe';
import { CounterCacheError } from './errors';
import { Outage } from './outage';
import { redact } from './redact';

/** One column of one target, before and after. Values are in units of the column; decimals keep the column's scale. */
export interface ColumnChange {
  /** Name of the target's entity. */
  readonly entity: string;
  /** Key of the target, as text; several parts joined by a comma. */
  readonly id: string;
  /** Property of the counter column. */
  readonly column: string;
  readonly before: string;
  readonly after: string;
}

/** A column that a recalculation found wrong. `wrong` is the column plus everything pending, `right` the truth. */
export interface Drift {
  readonly entity: string;
  readonly id: string;
  readonly column: string;
  /** Names of the counters that feed the column; `recalculate({ counter })` takes them. */
  readonly counters: readonly string[];
  readonly wrong: string;
  readonly right: string;
}

/** A target whose row the database refused to change, or that a counter cannot be recounted for. */
export interface FailedTarget {
  /** Name of the target's entity. */
  readonly entity: string;
  /** Key of the target, as text; several parts joined by a comma. `*` where the rows of a table cannot be listed. */
  readonly id: string;
  /** Name of the counter that cannot be recounted; left out where the whole row is refused. */
  readonly counter?: string;
  readonly reason: string;
}

/** Every event with its payload. */
export interface CountersEvents {
  /** A batch, or what waited in the outbox, was applied. `updates` counts the UPDATE statements on target tables. */
  reconciled: [{ readonly shard: number; readonly changes: readonly ColumnChange[]; readonly updates: number }];
  /** Targets were recounted (`checked`); corrections of columns (`fixed`), if any, are pending. */
  recalculated: [{ readonly shard: number; readonly checked: number; readonly fixed: number }];
  /** A recalculation found columns that were wrong. */
  drift: [{ readonly drifts: readonly Drift[] }];
  /**
   * The database refused to change a target: its delta is parked until the cause is gone and `retryFailed`, or a
   * recalculation, tries again. With `counter`: a scheduled recalculation could not count it, and is tried again.
   */
  failed: [FailedTarget];
  /** This process cannot reach the buffer; writes go on, and their deltas wait in the outbox. */
  degraded: [{ readonly error: unknown }];
  /** The buffer answers again, and recalculations that could not be asked for meanwhile are asked for. */
  recovered: [];
  /** Something went wrong in the background; nothing is lost unless the error says so. */
  error: [unknown];
}

/** A record, so that the compiler misses one that is not listed. */
const NAMES = {
  reconciled: true,
  recalculated: true,
  drift: true,
  failed: true,
  degraded: true,
  recovered: true,
  error: true,
} satisfies Record<keyof CountersEvents, true>;

/** Emits the library's events; an `error` without a listener goes to the logger instead of throwing. */
export class Events {
  readonly #emitter = new EventEmitter();
  readonly #report: (error: unknown) => void;
  /** By group: what is reported once, until the process ends. */
  readonly #once = new Map<string, Outage>();
  /** The last resort against an error that repeats itself without end. */
  readonly #flood = new Outage((error) => this.#deliver('error', error), FLOOD);

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** @throws ConfigurationError for an event that does not exist: its listener would wait for ever */
  on<Name extends keyof CountersEvents>(name: Name, listener: (...args: CountersEvents[Name]) => void): void {
    checkArgument(Object.hasOwn(NAMES, name), 'on', `the event to be one of ${Object.keys(NAMES).join(', ')}`, name);
    checkArgument(typeof listener === 'function', 'on', `the listener of '${name}' to be a function`, listener);
    this.#emitter.on(name, listener as (...args: unknown[]) => void);
  }

  off<Name extends keyof CountersEvents>(name: Name, listener: (...args: CountersEvents[Name]) => void): void {
    this.#emitter.off(name, listener as (...args: unknown[]) => void);
  }

  has(name: keyof CountersEvents): boolean {
    return this.#emitter.listenerCount(name) > 0;
  }

  /**
   * Reports an error that would repeat itself with every row or batch: once per key, and of a group of keys the first 20, with a
   * summary at the end. A group is by default what begins with the same word.
   */
  reportOnce(key: string, error: Error | (() => Error), group: string = key.split(' ', 1)[0] ?? ''): void {
    const once = this.#once.get(group) ?? this.#newGroup(group);
    once.failed(error, { kind: shortKey(key) });
  }

  #newGroup(group: string): Outage {
    const summary = (cause: unknown): Error => manyMore(group, made(cause));
    const once = new Outage((error) => this.emit('error', made(error)), { kinds: MAX_KEYS, summary });
    this.#once.set(group, once);
    return once;
  }

  /** A listener that throws must not fail the work that it hears of. */
  emit<Name extends keyof CountersEvents>(name: Name, ...args: CountersEvents[Name]): void {
    if (name === 'error') this.#flood.failed(args[0]);
    else this.#deliver(name, ...args);
  }

  #deliver<Name extends keyof CountersEvents>(name: Name, ...args: CountersEvents[Name]): void {
    if (name === 'error') redact(args[0]);
    if (name === 'degraded') redact((args[0] as CountersEvents['degraded'][0]).error);
    if (name === 'error' && !this.has('error')) {
      this.#report(args[0]);
      return;
    }
    try {
      this.#emitter.emit(name, ...args);
    } catch (error) {
      this.#report(error);
    }
  }
}

/** Keys of one group that are reported, and remembered. */
const MAX_KEYS = 20;

/** Of each kind of error, 20 per minute. */
const FLOOD = { times: 20, window: 60_000, kinds: 200, summary: null } as const;

/** Characters of a key that are remembered as they are. */
const MAX_KEY_LENGTH = 200;

/** Keys are values of rows, of any length. */
function shortKey(key: string): string {
  return key.length <= MAX_KEY_LENGTH ? key : createHash('sha256').update(key).digest('base64');
}

/** Errors that are made only when they are reported. */
function made(error: unknown): unknown {
  return typeof error === 'function' ? (error as () => Error)() : error;
}

function manyMore(group: string, cause: unknown): CounterCacheError {
  const code = cause instanceof CounterCacheError ? cause.code : 'CONFIGURATION';
  const reason = `${MAX_KEYS} errors of the group ${quote(group)} were reported, and no more are by this process`;
  return new CounterCacheError(
    code,
    `${reason}. Mend their causes, and restart it to see others`,
    { group },
    { cause },
  );
}
