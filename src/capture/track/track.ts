import type { EntityManager, EntityMetadata, QueryRunner } from 'typeorm';

import { checkArgument } from '../../check-arguments';
import { CounterCacheError } from '../../errors';
import { undoSavepoint } from '../../dialects/postgres/savepoint';
import { rowsSeen } from '../../dialects/postgres/sight';
import { transactionIdOf } from '../../dialects/postgres/snapshot';
import { exclusively } from '../transaction/exclusive';
import type { OpenTransaction } from '../transaction/open-transaction';
import { followTables } from '../paths';
import { type DeltaCalculator, NO_KEYS } from '../delta-calculator';
import type { OnNotPermitted } from '../actions/spreading-reach';
import type { TableChanges } from '../statement';
import type { Snapshot, TrackedRows } from './tracked-rows';
import type { Transactions } from '../transaction/transactions';

/** Where some work is tracked. */
export interface Track {
  readonly transactions: Transactions;
  readonly calculator: DeltaCalculator;
  readonly runner: QueryRunner;
  readonly open: OpenTransaction;
  readonly rows: TrackedRows;
  readonly onNotPermitted: OnNotPermitted;
}

/** What was there when the work began. */
interface Start {
  readonly savepoint: string;
  readonly transactionId: string;
  readonly before: Snapshot;
}

/** SQLSTATE of a ROLLBACK TO outside a transaction. */
const NO_TRANSACTION = '25P01';

let savepoints = 0;

/**
 * Refuses arguments of `track` with which it could count nothing.
 *
 * @throws ConfigurationError when nothing that the manager writes is captured, or `work` is no function
 */
export function checkTrack(manager: EntityManager | undefined, metadata: EntityMetadata, work: unknown): void {
  checkArgument(typeof work === 'function', 'track', 'its last argument to be a function', work);
  // Not by comparing DataSources: one of them may be a proxy.
  const isOwn = manager?.dataSource?.entityMetadatas.includes(metadata) === true;
  const expected = 'its first argument to be an EntityManager of the DataSource of these counters';
  checkArgument(isOwn, 'track', expected, manager);
}

/**
 * Does some work in a savepoint, and records what became of the tracked rows: the difference between before and after,
 * with the captured changes of the same rows taken back. Contributions are linear, so nothing else has to be known of
 * how a row got from one to the other. Work that throws is rolled back.
 */
export async function trackWork<Result>(track: Track, work: () => Promise<Result>): Promise<Result> {
  const { open, runner } = track;
  // A name of its own: work may be tracked beside other work of the same transaction.
  const savepoint = `counter_cache_track_${(savepoints += 1)}`;
  const finish = open.track();
  let isSet = false;
  try {
    // Nothing else in between: what is captured before the rows are read is not to be taken back, what follows is.
    const start = await exclusively(runner, async () => {
      await runner.query(`SAVEPOINT ${savepoint}`);
      isSet = true;
      const before = await track.rows.read();
      return { savepoint, before, transactionId: await seenTransactionId(runner, track.rows.tables) };
    });
    const result = await work();
    await exclusively(runner, () => end(track, start));
    return result;
  } catch (error) {
    if (isSet) await undo(track, savepoint);
    throw error;
  } finally {
    finish();
  }
}

/** Before and after are compared: what a policy hides from one of them would come, or go. */
async function seenTransactionId(runner: QueryRunner, tables: readonly string[]): Promise<string> {
  const [row] = await rowsSeen(runner, tables, (sight) => [`SELECT pg_current_xact_id()::text AS "xid", ${sight}`, []]);
  return String(row?.['xid']);
}

async function end(
  { transactions, calculator, runner, open, rows, onNotPermitted }: Track,
  start: Start,
): Promise<void> {
  const { savepoint, transactionId } = start;
  if (transactions.current(runner) !== open || !open.has(savepoint)) throw ended();
  const kept = (): readonly TableChanges[] => open.keptSince(savepoint);
  const { tables, inverse, inDoubt } = await rows.compare(start.before, transactionId, kept);
  if ((await transactionIdOf(runner)) !== transactionId) throw ended();
  const links = new Set(tables.flatMap(({ plan }) => plan.links));
  const followed = await followTables(runner, tables, { appearing: links, onNotPermitted });
  // A savepoint that was set beside the work may yet be rolled back, with a part of what is taken back here.
  const isInnermost = open.isInnermost(savepoint);
  const repaired = isInnermost
    ? [...followed.slice(0, 1), ...inDoubt, ...inverse.filter(followsPaths)]
    : [...followed, ...inverse];
  const captured = calculator.deltasOf(inverse, NO_KEYS, true);
  captured.addAll(
    calculator.deltasOf(followed, ({ targetTables }) => ({ made: targetTables, others: targetTables, areNew: true })),
  );
  for (const target of calculator.targetsOf(repaired)) captured.repair(target);
  transactions.record(runner, transactionId, (transaction) =>
    transaction.under(savepoint, () => {
      transaction.keep([...inverse, ...followed]);
      transaction.record(captured);
    }),
  );
  if (captured.refusal !== null) throw captured.refusal;
  // A RELEASE would take along the savepoints that were set since.
  if (isInnermost) await runner.query(`RELEASE SAVEPOINT ${savepoint}`);
}

/** What cannot be rolled back must not be committed: it is not counted. */
async function undo({ transactions, runner, open }: Track, savepoint: string): Promise<void> {
  const current = transactions.current(runner) ?? (await transactions.adoptUnseen(runner));
  // One whose BEGIN was not seen has no such savepoint: to go back to it makes COMMIT fail.
  if (current !== open || !open.has(savepoint)) {
    if (open.state === 'unseen' && current !== undefined) await undoSavepoint(runner, savepoint).catch(() => undefined);
    else current?.refuse(ended());
    return;
  }
  try {
    await exclusively(runner, () => undoSavepoint(runner, savepoint));
  } catch (error) {
    // Otherwise the transaction is aborted, or the connection lost.
    if ((error as { code?: string }).code === NO_TRANSACTION) open.refuse(ended());
  }
}

function followsPaths({ plan }: TableChanges): boolean {
  return plan.followsPaths;
}

function ended(): CounterCacheError {
  const advice = 'End it elsewhere than in the work, and run counters.recalculate() if that committed anything';
  return new CounterCacheError(
    'WRITE_FAILED',
    `the work of counters.track ended its transaction, or a savepoint around it; it is not counted. ${advice}`,
  );
}
