import { setTimeout as delay } from 'node:timers/promises';

import type { CountersStatus } from 'typeorm-counter-cache';

/** What is still under way. */
export interface Pending {
  readonly dirty: number;
  readonly batches: number;
  readonly intents: number;
}

const INTERVAL = 250;
/** Without any progress for so long, something is broken. */
const PATIENCE = 30_000;

/**
 * Waits until nothing is pending.
 *
 * @throws Error when a target refuses its counters, or when nothing gets less for 30 s
 */
export async function drain(
  apis: readonly string[],
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (pending: Pending) => void },
): Promise<void> {
  let least = Infinity;
  let deadline = performance.now() + PATIENCE;
  let quiet = 0;
  while (!signal.aborted) {
    const pending = await pendingOf(apis);
    onProgress(pending);
    const sum = pending.dirty + pending.batches + pending.intents;
    quiet = sum === 0 ? quiet + 1 : 0;
    // Twice, because the shards are looked at one after the other while a delta may move.
    if (quiet === 2) return;
    if (sum < least) deadline = performance.now() + PATIENCE;
    least = Math.min(least, sum);
    if (performance.now() > deadline) {
      throw new Error(
        `still pending after ${PATIENCE / 1_000} s without progress: ${JSON.stringify(pending)}. Does the worker run?`,
      );
    }
    await delay(INTERVAL);
  }
}

/** Every process is asked, because each first hands over what it still holds; the figures are the same for all. */
async function pendingOf(apis: readonly string[]): Promise<Pending> {
  let last: CountersStatus | null = null;
  for (const url of apis) {
    const response = await fetch(`${url}/status`, { signal: AbortSignal.timeout(PATIENCE) }).catch((error: unknown) => {
      throw new Error(`${url}/status gives no answer within ${PATIENCE / 1_000} s. Do Redis and PostgreSQL run?`, {
        cause: error,
      });
    });
    if (!response.ok) throw new Error(`${url}/status was answered with ${response.status}: ${await response.text()}`);
    last = (await response.json()) as CountersStatus;
  }
  if (last === null) throw new Error('there is no API to ask');
  const [failed] = last.failed;
  if (failed !== undefined) {
    throw new Error(
      `${last.failed.length} targets refuse their counters; ${failed.entity} ${failed.id}: ${failed.reason}`,
    );
  }
  return { dirty: last.dirty, batches: last.batches, intents: last.intents };
}
