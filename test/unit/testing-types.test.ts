import { expectTypeOf } from 'expect-type';
import type { DataSource } from 'typeorm';
import type { Counters, CountersOptions, Drift } from 'typeorm-counter-cache';
import {
  attachForTests,
  type DriftError,
  type FlushAllOptions,
  type TestCounters,
  type TestOptions,
} from 'typeorm-counter-cache/testing';

test('types of the entry point for tests', () => {
  expectTypeOf(attachForTests).toEqualTypeOf<
    (dataSource: DataSource, options?: TestOptions) => Promise<TestCounters>
  >();
  // What takes counters takes these, and the options of an application fit as they are.
  expectTypeOf<TestCounters>().toExtend<Counters>();
  expectTypeOf<CountersOptions>().toExtend<TestOptions>();
  expectTypeOf<TestOptions['inline']>().toEqualTypeOf<boolean | undefined>();
  expectTypeOf<TestCounters['flushAll']>().toEqualTypeOf<(options?: FlushAllOptions) => Promise<void>>();
  expectTypeOf<TestCounters['reset']>().toEqualTypeOf<() => Promise<void>>();
  expectTypeOf<TestCounters['expectNoDrift']>().toEqualTypeOf<() => Promise<void>>();
  expectTypeOf<DriftError['drifts']>().toEqualTypeOf<readonly Drift[]>();
  expectTypeOf<DriftError['code']>().toExtend<string>();
  // @ts-expect-error `inline` is no text
  const wrong: TestOptions = { inline: 'yes' };
  expect(wrong).toBeDefined();
});
