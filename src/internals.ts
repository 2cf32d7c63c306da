import type { DataSource } from 'typeorm';

import type { DeltaPublisher } from './publish/delta-publisher';
import type { Events } from './events';
import type { Opening } from './opening';
import type { CountersOptions } from './options';

/** What another entry point of the library has counters do, and users cannot. */
export interface Hooks {
  /** What the caller of a counted write waits for after its COMMIT; must not reject. */
  readonly afterCommit: (() => Promise<void>) | null;
  /** Whether a buffer that lost its data is an error; one that ends with its process is known to. */
  readonly reportsLoss: boolean;
  /** Whether a TRUNCATE is an error, since it cannot be counted. */
  readonly reportsTruncate: boolean;
}

/** Those of users: nothing after a COMMIT is waited for (I5). */
const NO_HOOKS: Hooks = { afterCommit: null, reportsLoss: true, reportsTruncate: true };

/** What counters are made of, for other entry points of the library. */
export interface Internals {
  readonly dataSource: DataSource;
  readonly events: Events;
  readonly opening: Opening;
  readonly publisher: DeltaPublisher;
  /** @throws CounterCacheError `CLOSED` */
  readonly assertOpen: () => void;
}

const HOOKS = Symbol('typeorm-counter-cache.hooks');

const internals = new WeakMap<object, Internals>();

/** Options that carry hooks; checks of options do not see them. */
export function withHooks(options: CountersOptions, hooks: Hooks): CountersOptions {
  return Object.assign({ ...options }, { [HOOKS]: hooks });
}

/** The hooks that options carry. */
export function hooksOf(options: CountersOptions): Hooks {
  return (options as { readonly [HOOKS]?: Hooks } | null)?.[HOOKS] ?? NO_HOOKS;
}

/** Notes what counters are made of. */
export function noteInternals(counters: object, made: Internals): void {
  internals.set(counters, made);
}

/** What counters are made of. */
export function internalsOf(counters: object): Internals {
  const found = internals.get(counters);
  if (found === undefined) throw new Error('these counters are not of this copy of typeorm-counter-cache');
  return found;
}
