import type { DataSource } from 'typeorm';

import { checkArgument } from '../check-arguments';
import { Counters } from '../counters';
import { type Hooks, internalsOf, withHooks } from '../internals';
import { type CountersOptions, resolveOptions } from '../options';
import { DriftError } from './drift-error';
import { flushAll, type FlushAllOptions } from './flush-all';
import { Inline } from './inline';
import { reset } from './reset';

/** Options of {@link attachForTests}: those of `Counters.attach()`, and one more. */
export interface TestOptions extends CountersOptions {
  /**
   * Applies each commit before its caller goes on, with no server but the database. `redis`, `queue`, `prefix`, `buffer` and
   * `scheduler` are not used then; the options of the application can stay.
   *
   * @defaultValue true
   */
  inline?: boolean | undefined;
}

/** What tests can do beside what {@link Counters} can. */
export interface TestMethods {
  /**
   * Applies all that waits, due or not, and waits for what others have begun.
   *
   * @throws CounterCacheError `NOT_FLUSHED` that names what is left after `timeout`
   */
  flushAll(options?: FlushAllOptions): Promise<void>;
  /**
   * Forgets all that waits, after tables were emptied (`TRUNCATE … RESTART IDENTITY`, say), or dropped and made again
   * (`dataSource.synchronize(true)`). Call it before rows are written again, with no transaction open.
   */
  reset(): Promise<void>;
  /**
   * The same as `flushAll()`, then compares every counter with its rows.
   *
   * @throws DriftError that lists what is wrong
   */
  expectNoDrift(): Promise<void>;
}

/** Counters with what tests need. */
export type TestCounters = Counters & TestMethods;

/**
 * Attaches counters to the DataSource of a test, as `Counters.attach()` does.
 *
 * @throws ConfigurationError, and what `Counters.attach()` throws
 * @example
 * const counters = await attachForTests(dataSource, { inline: true });
 * await dataSource.initialize();
 * await dataSource.manager.save(Post, { author });
 * await counters.expectNoDrift();
 */
export async function attachForTests(dataSource: DataSource, options: TestOptions = {}): Promise<TestCounters> {
  const isObject = typeof options === 'object' && options !== null;
  checkArgument(isObject, 'attachForTests', 'its options to be an object', options);
  const { inline = true, ...rest } = options;
  checkArgument(typeof inline === 'boolean', 'attachForTests', '`inline` to be true or false', inline);
  if (inline) return attachInline(dataSource, rest);
  return withMethods(await Counters.attach(dataSource, withHooks(rest, HOOKS)), () => Promise.resolve());
}

/** Tests empty their tables, and say so by `reset()`. */
const HOOKS: Hooks = { afterCommit: null, reportsLoss: true, reportsTruncate: false };

async function attachInline(dataSource: DataSource, options: CountersOptions): Promise<TestCounters> {
  // Theirs may be left out, or lead to servers that are not there: what remains is checked all the same.
  const { redis: _redis, queue: _queue, prefix: _prefix, buffer: _buffer, scheduler: _scheduler, ...own } = options;
  const { shards, window } = resolveOptions({ ...own, redis: 'redis://unused' });
  const inline = new Inline({ shards, window });
  const { buffer, scheduler } = inline;
  const hooks = { ...HOOKS, afterCommit: () => inline.apply(), reportsLoss: false };
  const counters = await Counters.attach(dataSource, withHooks({ ...own, buffer, scheduler }, hooks));
  await inline.serve(counters);
  return Object.assign(
    withMethods(counters, () => inline.idle()),
    { close: () => closeInline(inline, counters) },
  );
}

/** The method of the class: that of the object is this one. */
async function closeInline(inline: Inline, counters: Counters): Promise<void> {
  // What is published from now on waits in the outbox: the last run may not see it.
  internalsOf(counters).publisher.divert();
  await inline.stop();
  await Counters.prototype.close.call(counters);
  // Commits under way have set wake-ups until now.
  await inline.scheduler.close();
}

/** `idle` resolves when nothing of the test's own is being applied. */
function withMethods(counters: Counters, idle: () => Promise<void>): TestCounters {
  const methods: TestMethods = {
    flushAll: (options) => flushAll(counters, options),
    reset: async () => {
      await idle();
      await reset(counters);
    },
    expectNoDrift: async () => {
      await flushAll(counters);
      const report = await counters.verify();
      if (report.fixedCount + report.unsettled.length + report.failed.length > 0) throw new DriftError(report);
    },
  };
  return Object.assign(counters, methods);
}
