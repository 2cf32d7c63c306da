import type { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

import { longestPause, processorTime } from '../own-process';
import { countCommands } from '../redis-info';
import { watchStatements } from '../statements';

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

/** How often it is looked whether the event loop turns, ms. */
const RESOLUTION = 1;

/** Does a piece of work, and watches this process and both servers meanwhile. */
export async function observe(dataSource: DataSource, redis: Redis, work: () => Promise<unknown>): Promise<Observed> {
  const statements = watchStatements(dataSource);
  const commands = await countCommands(redis);
  const pause = longestPause(RESOLUTION);
  const cpu = processorTime();
  const began = performance.now();
  await work();
  const wall = performance.now() - began;
  const figures = { wall, cpu: cpu() / 1_000, pause: pause() };
  const { count, longest } = statements();
  return { ...figures, statements: count, longest, commands: await commands() };
}
