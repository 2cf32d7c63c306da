import { tell } from '../load/form';
import type { Exploration } from './explore';
import type { RedisStates } from './redis-states';

/** Runs an exploration and tells what it found, and what it cost. */
export async function told(name: string, redis: RedisStates, run: () => Promise<Exploration>): Promise<Exploration> {
  const [start, cpu, before] = [performance.now(), process.cpuUsage(), redis.executed];
  const found = await run();
  const { user, system } = process.cpuUsage(cpu);
  const cost = `${Math.round(performance.now() - start)} ms (${Math.round((user + system) / 1_000)} ms of CPU)`;
  const figures = `${found.states} states, ${found.quiet} quiet, ${redis.executed - before} calls of Redis, ${cost}`;
  tell(`${name}: ${figures}`);
  if (found.wrong !== null) tell([found.wrong.what, ...found.wrong.path].join('\n  → '));
  return found;
}
