import { setTimeout as delay } from 'node:timers/promises';

/** Polls, every `interval` ms, until `condition` returns something other than `null`, `undefined` or `false`, and returns it. */
export async function until<T>(condition: () => T | Promise<T>, limit = 20_000, interval = 2): Promise<NonNullable<T>> {
  const end = performance.now() + limit;
  for (;;) {
    const value = await condition();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > end)
      throw new Error(`the condition did not become true within ${limit} ms: ${String(condition)}`);
    await delay(interval);
  }
}
