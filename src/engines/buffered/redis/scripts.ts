import type { Redis } from 'ioredis';

import type { ShardKey } from './keys';
import { luaFile } from './lua-files';

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
    'leases',
    'logs',
    'failed',
    'tables',
  ],
  add: ['pending', 'due', 'columns', 'recalc', 'barriers', 'leases', 'logs', 'failed', 'tables'],
  'raise-epoch': ['meta'],
  claim: ['meta', 'pending', 'due', 'columns', 'leases', 'batches', 'claims', 'unlisted', 'tables'],
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
    'leases',
    'logs',
    'tables',
    'unlisted',
  ],
  'take-over': ['batches', 'claims'],
  'stale-intents': ['intentTimes'],
  'sweep-intents': ['intents', 'intentTimes', 'recalc', 'barriers', 'leases', 'logs', 'tables'],
  'request-repair': ['recalc', 'barriers', 'leases', 'logs', 'tables'],
  postpone: ['recalc', 'leases', 'tables'],
  'due-recalculations': ['recalc', 'barriers', 'tables'],
  'acquire-lease': ['claimed', 'leases', 'barriers', 'logs', 'tables', 'batches', 'unlisted'],
  'renew-lease': ['leases', 'tables'],
  'release-lease': ['leases', 'logs', 'tables'],
  finalize: [
    'meta',
    'pending',
    'due',
    'columns',
    'recalc',
    'barriers',
    'leases',
    'logs',
    'failed',
    'intents',
    'tables',
  ],
  read: ['meta', 'pending', 'columns', 'batches', 'claimed', 'tables', 'unlisted'],
  status: ['due', 'batches', 'intents', 'recalc', 'failed', 'tables', 'barriers'],
  'retry-failed': ['due', 'failed', 'tables'],
} as const satisfies Record<string, readonly ShardKey[]>;

/** Names of the Lua functions. */
export type ScriptName = keyof typeof SCRIPTS;

/** Redis recreates all of it at every call, so a function that writers wait for has no more in front than it needs. */
const IN_FRONT: Partial<Record<ScriptName, readonly string[]>> = {
  announce: ['clock'],
  discard: [],
  'raise-epoch': [],
  claim: ['clock', 'lib', 'batches'],
  acknowledge: ['clock', 'lib', 'batches'],
  'take-over': ['clock'],
  'stale-intents': ['clock'],
  'acquire-lease': ['clock', 'lib', 'batches'],
  read: ['clock', 'lib', 'batches'],
};

/** The text of a Lua function, with what it shares with others. */
export function scriptText(name: ScriptName): string {
  const shared = IN_FRONT[name] ?? ['clock', 'lib'];
  const parts = [...shared, name].map(luaFile);
  if (shared.includes('lib')) parts.splice(-1, 0, namedKeys(SCRIPTS[name]));
  return parts.join('\n');
}

/** What `lib` calls K: the keys that a function received, by name. */
function namedKeys(keys: readonly ShardKey[]): string {
  return `local K = { ${keys.map((key, i) => `${key} = KEYS[${i + 1}]`).join(', ')} }`;
}

/** Registers every Lua function on a connection of our own, under names that cannot meet those of others. */
export function defineScripts(redis: Redis): void {
  for (const name of Object.keys(SCRIPTS) as ScriptName[]) {
    redis.defineCommand(commandName(name), { numberOfKeys: SCRIPTS[name].length, lua: scriptText(name) });
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
