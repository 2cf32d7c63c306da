/** FNV-1a over UTF-16 code units: stable across processes and releases, since it places stored deltas. */
export function shardOf(target: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < target.length; i++) hash = Math.imul(hash ^ target.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

/** Groups items by the shard of their target. */
export function byShard<T>(items: Iterable<T>, targetOf: (item: T) => string, shards: number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const shard = shardOf(targetOf(item), shards);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [item]);
    else group.push(item);
  }
  return groups;
}

/**
 * Works on the groups of all shards, on so many at once. What has begun when one of them throws is awaited; nothing more is
 * begun then.
 *
 * @throws what was thrown first
 */
export async function forEachShard<T>(
  groups: Iterable<readonly [shard: number, group: T]>,
  atOnce: number,
  work: (shard: number, group: T) => Promise<void>,
): Promise<void> {
  const all = [...groups];
  const open = all.values();
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const [shard, group] of open) {
      if (failures.length > 0) return;
      await work(shard, group).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, lane));
  if (failures.length > 0) throw failures[0];
}
