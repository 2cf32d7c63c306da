/**
 * Works on all items, on so many at once. What has begun when one of them throws is awaited; nothing more is begun then.
 *
 * @throws what was thrown first
 */
export async function forEachConcurrent<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const open = items.values();
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const item of open) {
      if (failures.length > 0) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
}
