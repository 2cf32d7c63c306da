import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

/** What a piece of work took, and sent. */
export type Observed = {
  /** Milliseconds. */
  readonly wall: number;
  /** Milliseconds of processor time of the process. */
  readonly cpu: number;
  /** Statements sent to PostgreSQL. */
  readonly statements: number;
  /** Milliseconds of the slowest of them. */
  readonly longest: number;
  /** Commands that Redis carried out. */
  readonly commands: number;
  /** Milliseconds for which the event loop answered nobody, at most. */
  readonly pause: number;
};

/** Resolution of the event loop's monitor, ms; it reports that much more than there was. */
const RESOLUTION = 1;

export async function observe(dataSource: DataSource, redis: Redis, work: () => Promise<unknown>): Promise<Observed> {
  const queries = countQueries(dataSource);
  const commandsBefore = await processed(redis);
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
  loop.enable();
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  await work();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  loop.disable();
  return {
    wall,
    cpu: (user + system) / 1_000,
    ...queries.stop(),
    // The first look itself is one of them.
    commands: (await processed(redis)) - commandsBefore - 1,
    pause: Math.max(0, loop.max / 1e6 - RESOLUTION),
  };
}

function countQueries({ subscribers }: DataSource): { stop(): { statements: number; longest: number } } {
  let statements = 0;
  let longest = 0;
  const subscriber = {
    beforeQuery: () => void (statements += 1),
    afterQuery: ({ executionTime = 0 }: { executionTime?: number }) =>
      void (longest = Math.max(longest, executionTime)),
  };
  subscribers.push(subscriber);
  return {
    stop() {
      subscribers.splice(subscribers.indexOf(subscriber), 1);
      return { statements, longest };
    },
  };
}

async function processed(redis: Redis): Promise<number> {
  return Number(/^total_commands_processed:(\d+)/m.exec(await redis.info('stats'))?.[1]);
}
