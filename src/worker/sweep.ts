import { CounterCacheError } from '../errors';
import { purgeLedger } from '../dialects/postgres/apply/ledger';
import { purgeOutbox } from '../dialects/postgres/outbox/end-rows';
import { forgetSilent } from '../dialects/postgres/installation/processes';
import { withConnection } from '../dialects/postgres/query';
import { allocateBarrier } from '../dialects/postgres/snapshot';
import type { JobContext } from '../engines/context';
import { repairDue } from '../engines/outbox/drain';
import { ifPermitted } from '../engines/permitted';
import { recalculateDue } from '../recount/recalculate';
import { rebuild, runTableCampaigns } from '../recount/campaign';
import { reportLost, sweepEpochs } from '../recount/lost-shards';
import { reconcile, finishBatch } from '../engines/buffered/reconcile';

/** Stale batches, and stale intents, handled per shard and sweep. */
const LIMIT = 100;

/**
 * Finds what no job looks after (I4): shards that lost their data, batches and intents whose process died, due targets
 * without a wake-up. The dirty index is the truth; jobs are only wake-ups.
 */
export async function sweep(context: JobContext): Promise<void> {
  const swept = await sweepEpochs(context).catch((error: unknown) => reportElsewhere(context, error));
  // What it would sweep there is not of this installation.
  if (swept === null) return;
  const { lost, isRebuilding } = swept;
  reportLost(context, lost);
  if (isRebuilding) await ifPermitted(context, () => rebuild(context));
  const failures: unknown[] = [];
  const campaigns = () => ifPermitted(context, () => runTableCampaigns(context));
  for (const step of [campaigns, repairDue]) await step(context).catch((error: unknown) => failures.push(error));
  for (let shard = 0; shard < context.buffer.shards && !context.isStopping(); shard++) {
    // What fails in one place must not keep the sweep from all others.
    for (const step of STEPS) await step(context, shard).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
  if (context.isStopping()) return;
  const { dataSource, tables, options } = context;
  await withConnection(dataSource, async (runner) => {
    await forgetSilent(runner, tables);
    await purgeLedger(runner, tables, options.ledgerRetention);
    await purgeOutbox(runner, tables, options.outboxRetention);
  });
}

/** Reported once; until it is settled, or the process is ended, every sweep finds it again. */
function reportElsewhere({ events }: JobContext, error: unknown): null {
  if (!(error instanceof CounterCacheError) || error.code !== 'STATE_MISMATCH') throw error;
  events.reportOnce('redis', error);
  return null;
}

const STEPS: readonly ((context: JobContext, shard: number) => Promise<unknown>)[] = [
  sweepBatches,
  sweepIntents,
  (context, shard) => reconcile(context, shard, { select: 'due' }),
  recalculateDue,
];

async function sweepBatches(context: JobContext, shard: number): Promise<void> {
  const { buffer, options } = context;
  for (const batch of await buffer.takeOver(shard, options.claimTimeout, LIMIT)) await finishBatch(context, batch);
}

async function sweepIntents(context: JobContext, shard: number): Promise<void> {
  const { buffer, options, dataSource, schedule } = context;
  const stale = await buffer.staleIntents(shard, options.intentTimeout, LIMIT);
  if (stale.length === 0) return;
  // Allocated after the intents were found: each of their transactions lies below the barrier.
  const barrier = await withConnection(dataSource, allocateBarrier);
  const { wakeUps } = await buffer.sweepIntents(shard, stale, barrier);
  await schedule(wakeUps);
}
