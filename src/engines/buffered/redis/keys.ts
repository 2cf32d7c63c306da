/** Names of the keys of one shard; what each holds is described at the head of `lua/lib.lua`. */
export const SHARD_KEYS = [
  'meta',
  'tables',
  'pending',
  'due',
  'columns',
  'recalc',
  'barriers',
  'leases',
  'logs',
  'failed',
  'intents',
  'intentTimes',
  'batches',
  'claims',
  'claimed',
  'unlisted',
] as const;

export type ShardKey = (typeof SHARD_KEYS)[number];

/** Version of what the keys hold; part of every key, so that incompatible releases never meet in one key. */
const FORMAT = 1;

/**
 * One key of one shard. All keys of a shard carry one hash tag, so that they live in one Redis Cluster slot; the
 * installation keeps two databases in one Redis apart.
 */
export function shardKey(prefix: string, installation: string, shard: number, key: ShardKey): string {
  return `{${prefix}:${installation}:${shard}}:${FORMAT}:${key}`;
}

/** The key by which the Redis of an installation is recognised. */
export function tokenKey(prefix: string, installation: string): string {
  return `{${prefix}:${installation}:redis}:${FORMAT}:token`;
}
