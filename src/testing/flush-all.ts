import { setTimeout as delay } from 'node:timers/promises';

import { checkArgument, checkKeys } from '../check-arguments';
import type { Counters } from '../counters';
import { TablesEmptiedError } from '../dialects/postgres/apply/ledger';
import { countCampaigns } from '../dialects/postgres/installation/campaigns';
import { whereAmI } from '../dialects/postgres/installation/processes';
import { withConnection } from '../dialects/postgres/query';
import { besidePool } from '../dialects/postgres/side-connection';
import type { JobContext } from '../engines/context';
import { finishBatch } from '../engines/buffered/reconcile';
import { CounterCacheError } from '../errors';
import type { FailedTarget } from '../events';
import { internalsOf } from '../internals';
import { readStatus } from '../read/status';
import { withTimeout } from '../time-limit';
import { sweep } from '../worker/sweep';
import { resetAndRetry } from './reset-and-retry';

/** Options of `flushAll()`. */
export interface FlushAllOptions {
  /** The longest it takes, ms. @defaultValue 10_000 */
  readonly timeout?: number;
}

/** What is not applied yet. */
interface Left {
  readonly counts: Readonly<Record<string, number>>;
  readonly failed: readonly FailedTarget[];
}

/** A batch that no worker has touched for so long is taken over, ms: its worker may have died. */
const BATCH_PATIENCE = 1_000;

/** Batches taken over per shard and pass. */
const BATCHES = 100;

/** The longest pause between two passes, ms. */
const MAX_PAUSE = 250;

/** Refused targets that the message lists. */
const LISTED = 10;

/**
 * Applies all that waits, due or not, and waits for what others have begun: deltas in the buffer and in the outbox, claimed
 * batches, repairs that were asked for. Recounts that are only scheduled are left for their time.
 *
 * @throws ConfigurationError for wrong options; CounterCacheError `NOT_FLUSHED` that names what is left after `timeout`, or what
 * the database refuses, `CLOSED`; what `flush()` throws
 */
export async function flushAll(counters: Counters, options: FlushAllOptions = {}): Promise<void> {
  checkKeys(options, ['timeout'], 'flushAll');
  const { timeout = 10_000 } = options;
  checkArgument(Number.isSafeInteger(timeout) && timeout > 0, 'flushAll', 'timeout to be a positive integer', timeout);
  internalsOf(counters).assertOpen();
  const end = performance.now() + timeout;
  // What was refused may be taken by now.
  let isRetried = false;
  let last: Left | null = null;
  for (let pause = 5; ; pause = Math.min(2 * pause, MAX_PAUSE)) {
    const left = await withTimeout(flushOnce(counters, !isRetried), Math.max(1, end - performance.now()), null);
    isRetried = true;
    last = left ?? last;
    const isApplied = left !== null && Object.values(left.counts).every((count) => count === 0);
    if (isApplied && left.failed.length === 0) return;
    // Waiting does not help against what is refused.
    if (isApplied || left === null || performance.now() + pause >= end) throw notFlushed(last, timeout);
    await delay(pause);
  }
}

async function flushOnce(counters: Counters, retries: boolean): Promise<Left> {
  const begin = async (): Promise<unknown> => {
    if (retries) {
      await expectInstallation(counters);
      await counters.retryFailed();
    }
    return counters.flush();
  };
  await begin().catch((error: unknown) => resetAndRetry(counters, error, begin));
  const { opening, publisher } = internalsOf(counters);
  const { context } = await opening.open();
  await besidePool('full', async () => {
    await takeOver(context);
    await sweep(context);
  });
  // What was recounted lacks its corrections.
  await counters.flush();
  return besidePool('full', () => whatIsLeft(context, publisher.lost));
}

/** @throws TablesEmptiedError when the library's tables do not name the installation of this process any more */
async function expectInstallation(counters: Counters): Promise<void> {
  const { dataSource, opening } = internalsOf(counters);
  const { id, tables } = (await opening.open()).installation;
  const here = await besidePool('full', () => withConnection(dataSource, (runner) => whereAmI(runner, tables)));
  if (here.installation !== id) throw new TablesEmptiedError(tables);
}

/** Takes over batches claimed more than 1 s ago, and ends them: their worker failed, or is slow, which does no harm. */
export async function takeOver(context: JobContext): Promise<void> {
  const { buffer } = context;
  for (let shard = 0; shard < buffer.shards; shard++) {
    for (const batch of await buffer.takeOver(shard, BATCH_PATIENCE, BATCHES)) await finishBatch(context, batch);
  }
}

async function whatIsLeft(context: JobContext, lost: number): Promise<Left> {
  const { buffer, dataSource, tables, definitions } = context;
  const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
  const repairs = await Promise.all(shards.map(async (shard) => (await buffer.status(shard)).repairs));
  const campaigns = await withConnection(dataSource, (runner) =>
    countCampaigns(runner, tables, [...definitions.targetTables.keys()]),
  );
  const { dirty, batches, intents, failed } = await readStatus(context);
  const counts = {
    'targets with pending deltas (a row may be locked by an open transaction)': dirty,
    'claimed batches': batches,
    'transactions that were announced and have not ended': intents,
    'repairs (they wait for transactions that are open in any database of the server)': repairs.reduce(
      (sum, one) => sum + one,
      lost,
    ),
    'recounts of whole tables or shards': campaigns,
  };
  return { counts, failed };
}

function notFlushed(left: Left | null, timeout: number): CounterCacheError {
  if (left === null) {
    const reason = `expected everything to be applied within ${timeout} ms, but database or Redis did not answer by then`;
    return new CounterCacheError('NOT_FLUSHED', `${reason}. Look for locks, or give a longer \`timeout\``, { timeout });
  }
  const { counts, failed } = left;
  const lines = [
    ...Object.entries(counts).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`])),
    ...failed
      .slice(0, LISTED)
      .map(({ entity, id, reason }) => `${entity} ${id}, which the database refuses: ${reason}`),
    ...(failed.length > LISTED ? [`${failed.length - LISTED} more that the database refuses`] : []),
  ];
  const list = lines.map((line) => `  - ${line}`).join('\n');
  const advice = 'End transactions that are open and mend what is refused, or give a longer `timeout`';
  return new CounterCacheError(
    'NOT_FLUSHED',
    `expected everything to be applied, but there are left:\n${list}\n${advice}`,
    {
      timeout,
      ...left,
    },
  );
}
