import type { CountersOptions } from 'typeorm-counter-cache';

import { TEST_OPTIONS } from '../../support/setup';

/** Of every process of a load run: what the dead leave is soon taken over. Redis keeps what it has answered. */
export const LOAD_OPTIONS = {
  ...TEST_OPTIONS,
  sweepInterval: 500,
  claimTimeout: 2_000,
  intentTimeout: 2_000,
  redisTimeout: 500,
  shards: 4,
  durableRedis: true,
} as const satisfies Partial<CountersOptions>;

/**
 * One shard and small batches, so that one worker has much to do while the others have nothing; and long times, so that
 * only a wake-up brings another worker to it in time.
 */
export const SHUTDOWN_OPTIONS = {
  ...TEST_OPTIONS,
  shards: 1,
  batchSize: 5,
  sweepInterval: 120_000,
  claimTimeout: 120_000,
} as const satisfies Partial<CountersOptions>;
