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
