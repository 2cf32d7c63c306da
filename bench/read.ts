import type { Benchmark } from './benchmark';
import { present, type ReadFigures, summarize } from './read/present';
import { readsOf, TimedRead } from './read/reads';
import { createWorld, destroyWorld } from './read/world';
import { interleave } from './rounds';

const LEAST_ROUNDS = 5;

/** What it takes to know how many children a row has. */
export const read: Benchmark<readonly ReadFigures[]> = {
  name: 'read',
  describe:
    'Reading a counter: with a row that is read anyway, alone, or through counters.read(), against COUNT(*) of its children.',
  postgres: { shared_buffers: '1GB', effective_cache_size: '3GB', random_page_cost: '1.1', max_wal_size: '4GB' },
  seconds: 60,
  summarize,
  async run(environment, seconds) {
    console.log('Populating …');
    const world = await createWorld(environment);
    try {
      const warmUp = readsOf(world).map((one) => new TimedRead(one));
      await interleave(warmUp, seconds / 20);
      const reads = readsOf(world).map((one) => new TimedRead(one));
      return present(reads, await interleave(reads, seconds, LEAST_ROUNDS));
    } finally {
      await destroyWorld(world);
    }
  },
};
