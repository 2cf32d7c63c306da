import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Redis } from 'ioredis';

import type { ShardKey } from './keys';

/** The keys each Lua function takes, in the order of its header. */
export const SCRIPTS = {
  announce: ['intents', 'intentTimes'],
  discard: ['intents', 'intentTimes'],
  confirm: [
    'intents',
    'intentTimes',
    'pending',
    'due',
    'columns',
    'recalc',
    'barriers',
    'watches',
    'logs',
    'failed',
    'kinds',
  ],
  add: ['pending', 'due', 'columns', 'recalc', 'barriers', 'watches', 'logs', 'failed', 'kinds'],
  'raise-epoch': ['meta'],
  claim: ['meta', 'pending', 'due', 'columns', 'watches', 'batches', 'claims', 'unlisted', 'kinds'],
  acknowledge: [
    'meta',
    'pending',
    'due',
    'columns',
    'batches',
    'claims',
    'claimed',
    'failed',
    'recalc',
    'barriers',
    'watches',
    'logs',
    'kinds',
    'unlisted',
  ],
  'take-over': ['batches', 'claims'],
  'stale-intents': ['intentTimes'],
  'sweep-intents': ['intents', 'intentTimes', 'recalc', 'barriers', 'watches', 'logs', 'kinds'],
  request: ['recalc', 'barriers', 'watches', 'logs', 'kinds'],
  postpone: ['recalc', 'kinds'],
  'due-recalculations': ['recalc', 'barriers', 'kinds'],
  watch: ['claimed', 'watches', 'barriers', 'logs', 'kinds', 'batches', 'unlisted'],
  renew: ['watches', 'kinds'],
  unwatch: ['watches', 'logs', 'kinds'],
  finalize: [
    'meta',
    'pending',
    'due',
    'columns',
    'recalc',
    'barriers',
    'watches',
    'logs',
    'failed',
    'intents',
    'kinds',
  ],
  read: ['meta', 'pending', 'columns', 'batches', 'claimed', 'kinds', 'unlisted'],
  status: ['due', 'batches', 'intents', 'recalc', 'failed', 'kinds'],
  'retry-failed': ['due', 'failed', 'kinds'],
} as const satisfies Record<string, readonly ShardKey[]>;

export type ScriptName = keyof typeof SCRIPTS;

/** Registers every Lua function on a connection of our own, under names that cannot meet those of others. */
export function defineScripts(redis: Redis): void {
  const folder = join(__dirname, 'lua');
  const library = readFileSync(join(folder, 'lib.lua'), 'utf8');
  for (const [name, keys] of Object.entries(SCRIPTS)) {
    const lua = `${library}\n${readFileSync(join(folder, `${name}.lua`), 'utf8')}`;
    redis.defineCommand(commandName(name), { numberOfKeys: keys.length, lua });
  }
}

/** Runs a Lua function; the reply has the shape that the function's header states. */
export async function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const commands = redis as unknown as Record<string, (...args: (string | number)[]) => Promise<unknown>>;
  const command = commands[commandName(name)];
  if (command === undefined) throw new Error(`Lua function ${name} is not defined on this connection`);
  return command.call(redis, ...keys, ...args);
}

function commandName(script: string): string {
  return `counterCache:${script}`;
}
