import { keysOf } from '../support/redis';
import type { Fixture } from '../support/setup';
import { until } from '../support/until';
import type { Internals } from './internals';

/** Lets a running worker finish: nothing is pending, and no recalculation is due or put off for a moment. */
export async function untilIdle({ counters }: Fixture, internals: Internals): Promise<void> {
  await counters.settled();
  await until(async () => {
    // In this order: a recalculation that ends in between leaves something dirty.
    const requested = await requestedSoon(internals);
    const { dirty, batches } = await counters.status();
    return requested + dirty + batches === 0;
  }, 30_000);
}

async function requestedSoon({ installation, redis }: Internals): Promise<number> {
  const keys = await keysOf(redis, `{cc:${installation}:*}:*:recalc`);
  const requested = await Promise.all(keys.map((key) => redis.zcount(key, '-inf', Date.now() + 120_000)));
  return requested.reduce((sum, count) => sum + count, 0);
}
