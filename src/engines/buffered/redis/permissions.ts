import { type Redis, ReplyError } from 'ioredis';

import { BufferUnavailableError } from '../../../errors';
import { shardKey } from './keys';
import { type ScriptName, SCRIPTS, scriptText } from './scripts';

/** Commands to be run on a key. */
export interface KeyUse {
  readonly key: string;
  readonly commands: readonly string[];
}

/** Which keys, and what for: enough to tell whether a user may do it. */
export interface AccessOptions {
  /** First part of every key of the buffer. */
  readonly prefix: string;
  readonly shards: number;
  /** What BullMQ does with the queue; nothing where another scheduler is used. */
  readonly queue: KeyUse | null;
}

/** What our Lua functions call, taken from their texts. */
function bufferCommands(): readonly string[] {
  const texts = (Object.keys(SCRIPTS) as ScriptName[]).map(scriptText).join('\n');
  const calls = [...texts.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, command = '']) => command);
  return [...new Set(calls)].filter((command) => command !== 'TIME').toSorted();
}

/** Calls that a user may not make, among many; false where the server cannot tell (before Redis 7). */
const REFUSED_CALLS = `
if not redis.acl_check_cmd then return false end
local refused = {}
for _, call in ipairs(cjson.decode(ARGV[1])) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(call))
  if known and not allowed then table.insert(refused, call[1]) end
end
return refused`;

/**
 * Asks whether the user of a connection may do what the library does.
 *
 * @throws BufferUnavailableError that lists what is missing, and the rule that grants it; or says that the server is one of a Cluster
 */
export async function assertAccess(redis: Redis, options: AccessOptions, where: string): Promise<void> {
  const { prefix, shards, queue } = options;
  const own: KeyUse = { key: shardKey(prefix, 'probe', 0, 'pending'), commands: bufferCommands() };
  const uses = queue === null ? [own] : [own, queue];
  const calls = [['TIME'], ...uses.flatMap(callsOf)];
  try {
    const refused = (await redis.eval(REFUSED_CALLS, 0, JSON.stringify(calls))) as readonly string[] | null;
    if (refused !== null && refused.length > 0) throw refusal(options, where, [...new Set(refused)].join(', '));
    await assertNoCluster(redis, { prefix, shards, queue });
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    const { message } = error as Error;
    if (/^(NOPERM|ERR unknown command|.*ACL failure)/.test(message)) throw refusal(options, where, message, error);
    if (/^(CROSSSLOT|MOVED|ASK|CLUSTERDOWN)/.test(message)) throw cluster(where, message, error);
    // Busy, loading, or without the function: what is refused later is reported then.
  }
}

/** A server of a Cluster refuses keys of several slots, or of slots that others hold. */
async function assertNoCluster(redis: Redis, { prefix, shards, queue }: AccessOptions): Promise<void> {
  if (queue !== null) await redis.eval('return 1', 2, queue.key, queue.key.replace(/[^:]*$/, 'meta'));
  const keys = Array.from({ length: Math.min(shards, 16) }, (_, shard) => shardKey(prefix, 'probe', shard, 'meta'));
  await Promise.all(keys.map((key) => redis.hget(key, 'epoch')));
}

function callsOf({ key, commands }: KeyUse): readonly string[][] {
  const scripts = ['EVAL', 'EVALSHA'].map((command) => [command, '', '1', key]);
  // Several times the key: some commands take two, and what follows the keys is not looked at.
  return [...scripts, ...commands.map((command) => [command, key, key, key])];
}

function refusal(
  { prefix, queue }: AccessOptions,
  where: string,
  what: string,
  cause?: unknown,
): BufferUnavailableError {
  const queueKeys = queue === null ? '' : ` ~${queue.key.replace(/:[^:]*:[^:]*$/, '')}:${prefix}-*`;
  const rule = `~{${prefix}:*${queueKeys} ${GRANTED}`;
  const advice = `Grant it: ACL SETUSER <user> ${rule} (see docs/redis.md)`;
  return new BufferUnavailableError(
    `Redis at ${where} does not let this user do what is needed: ${what}. ${advice}`,
    { where, rule },
    { cause },
  );
}

/** Everything that is needed on keys of ours and of BullMQ; tested with a user that may do no more. */
const GRANTED = '+@read +@write +@connection +eval +evalsha +time +multi +exec -@dangerous';

function cluster(where: string, message: string, cause: unknown): BufferUnavailableError {
  const advice =
    'Connect to a Redis that is no Cluster, or to a primary through Sentinel. With one server that holds all slots, a `queue.prefix` in braces will do';
  return new BufferUnavailableError(
    `Redis at ${where} is a server of a Cluster, which is not supported: ${message}. ${advice}`,
    { where },
    { cause },
  );
}
