import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

import type { Benchmark } from './benchmark';
import { recountByHand } from './recalculate/by-hand';
import { observe, type Observed } from './recalculate/observe';
import {
  CONCURRENT,
  LIBRARY,
  type Measured,
  present,
  SEQUENTIAL,
  summarize,
  type TaskFigures,
} from './recalculate/present';
import { type Task, TASKS } from './recalculate/tasks';
import { createWorld, destroyWorld, TARGETS, type World } from './recalculate/world';
import { interleave, type Round, type Variant } from './rounds';

/** Targets of one batch. */
const BATCH = 2_000;

const LEAST_ROUNDS = 5;

/** Targets that are recounted at once by hand. */
const CONCURRENCY = 16;

type Span = readonly [first: number, last: number];

/** What a full recalculation takes. */
export const recalculate: Benchmark<readonly TaskFigures[]> = {
  name: 'recalculate',
  describe:
    'Recounting the counters of 10,000 rows with a million sources: `counters.recalculate()` against one SELECT COUNT(*) per row, compared, and an UPDATE where it differs.',
  // As a server in production has them; the tests' servers leave out the disk.
  postgres: {
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    shared_buffers: '1GB',
    effective_cache_size: '3GB',
    work_mem: '16MB',
    random_page_cost: '1.1',
    max_wal_size: '4GB',
  },
  seconds: 150,
  summarize,
  async run(environment, seconds) {
    console.log('Populating …');
    const world = await createWorld(environment);
    const redis = new Redis(world.redisUrl);
    try {
      const measured: Measured[] = [];
      for (const task of TASKS) {
        console.log(`Measuring: ${task.name} …`);
        measured.push({
          task: task.name,
          targets: BATCH,
          rounds: await measure(world, redis, task, seconds / TASKS.length),
        });
      }
      return present(measured);
    } finally {
      redis.disconnect();
      await destroyWorld(world);
    }
  },
};

async function measure(world: World, redis: Redis, task: Task, seconds: number): Promise<Round<Observed>[]> {
  const { dataSource, counters, plain } = world;
  const variants = [
    newVariant(LIBRARY, dataSource, redis, task, async ([from, to]) => {
      const { checked, fixedCount } = await counters.recalculate({ counter: task.counter, from, to });
      if (checked !== BATCH || fixedCount !== wrongIn(task)) throw new Error(`${checked} checked, ${fixedCount} fixed`);
    }),
    newVariant(SEQUENTIAL, plain, redis, task, (span) => recountByHand(plain, task, span, 1)),
    newVariant(CONCURRENT, plain, redis, task, (span) => recountByHand(plain, task, span, CONCURRENCY)),
  ];
  for (const variant of variants) await variant.sample();
  return interleave(variants, seconds, LEAST_ROUNDS);
}

function newVariant(
  name: string,
  dataSource: DataSource,
  redis: Redis,
  task: Task,
  work: (span: Span) => Promise<void>,
): Variant<Observed> {
  let batches = 0;
  return {
    name,
    async sample() {
      // Each variant meets the same targets in the same order.
      const first = ((batches++ * BATCH) % TARGETS) + 1;
      const span: Span = [first, first + BATCH - 1];
      if (task.wrong > 0) {
        await dataSource.query(
          `UPDATE author SET "${task.column}" = "${task.column}" + 1 WHERE id BETWEEN $1 AND $2 AND id % ${task.wrong} = 0`,
          [...span],
        );
      }
      return observe(dataSource, redis, () => work(span));
    },
  };
}

function wrongIn({ wrong }: Task): number {
  return wrong === 0 ? 0 : BATCH / wrong;
}
