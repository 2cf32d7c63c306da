import type { Redis } from 'ioredis';

/** A number that Redis tells of itself. */
async function numberIn(redis: Redis, section: string, name: string): Promise<number> {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await redis.info(section))?.[1]);
}

/** Bytes that Redis uses for data and its administration. */
export function usedMemory(redis: Redis): Promise<number> {
  return numberIn(redis, 'memory', 'used_memory');
}

/** Counts the commands that Redis carries out, whoever sends them, until it is asked. */
export async function countCommands(redis: Redis): Promise<() => Promise<number>> {
  const processed = (): Promise<number> => numberIn(redis, 'stats', 'total_commands_processed');
  const before = await processed();
  // The first look itself is one of them.
  return async () => (await processed()) - before - 1;
}
