import type { DataSource, QueryRunner } from 'typeorm';

import type { Batch, BatchEntry, Unapplied } from '../buffer/buffer';
import type { Definitions, TargetKind } from '../counter/definition';
import { kindIdOf } from '../counter/target';
import { enterBatch, noteUnapplied } from './ledger';
import { withTransaction } from './query';
import type { TablePaths } from './tables';
import { type Change, updateColumns, type Updated } from './update-columns';

/** What became of a batch. */
export interface Applied {
  /** `fenced`: claimed before its shard lost its data, or older than the ledger remembers; nothing was applied. */
  readonly status: 'applied' | 'already' | 'fenced';
  readonly unapplied: readonly Unapplied[];
  readonly changes: readonly Change[];
  /** UPDATE statements sent to target tables. */
  readonly updates: number;
  /** Targets of a table or column that this process does not know (a rolling deploy); given back. */
  readonly unknown: readonly string[];
}

const NOTHING = { unapplied: [], unknown: [], changes: [], updates: 0 } as const;

/** Milliseconds after which a row that was locked is tried again. */
const LOCKED_BACKOFF = 500;

/** Milliseconds after which a target that this process does not know is offered to others again. */
const UNKNOWN_BACKOFF = 2_000;

/** Applies a batch exactly once (I3): the ledger entry and the columns change in one transaction. */
export async function applyBatch(
  dataSource: DataSource,
  tables: TablePaths,
  definitions: Definitions,
  batch: Batch,
): Promise<Applied> {
  try {
    return await attempt(dataSource, tables, definitions, batch, applyTogether);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // The database refused a row: once more, with savepoints, to find out which.
    return attempt(dataSource, tables, definitions, batch, applyIsolating);
  }
}

type Outcome = Updated & { readonly failed: readonly Unapplied[]; readonly updates: number };
type ApplyKind = (runner: QueryRunner, kind: TargetKind, entries: readonly BatchEntry[]) => Promise<Outcome>;

function attempt(
  dataSource: DataSource,
  tables: TablePaths,
  definitions: Definitions,
  batch: Batch,
  applyKind: ApplyKind,
): Promise<Applied> {
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const entry = await enterBatch(runner, tables, batch);
    if (entry.status === 'applied') return { ...NOTHING, status: 'already', unapplied: entry.unapplied };
    if (entry.status === 'fenced') return { ...NOTHING, status: 'fenced' };
    const { known, unknown } = partition(definitions, batch);
    const unapplied: Unapplied[] = unknown.map((target) => ({ target, backoff: UNKNOWN_BACKOFF }));
    const changes: Change[] = [];
    let updates = 0;
    for (const [kind, entries] of known) {
      const outcome = await applyKind(runner, kind, entries);
      unapplied.push(...outcome.failed, ...outcome.locked.map((target) => ({ target, backoff: LOCKED_BACKOFF })));
      changes.push(...outcome.changes);
      updates += outcome.updates;
    }
    if (unapplied.length > 0) await noteUnapplied(runner, tables, batch.id, unapplied);
    return { ...NOTHING, status: 'applied', unapplied, unknown, changes, updates };
  });
}

/** Groups entries by kind; those with a kind or a column that this process does not know are kept for another. */
function partition(
  definitions: Definitions,
  batch: Batch,
): { known: Map<TargetKind, BatchEntry[]>; unknown: string[] } {
  const known = new Map<TargetKind, BatchEntry[]>();
  const unknown: string[] = [];
  for (const entry of batch.entries) {
    const kind = definitions.kinds.get(kindIdOf(entry.target));
    if (kind === undefined || !knows(kind, entry)) unknown.push(entry.target);
    else groupOf(known, kind).push(entry);
  }
  return { known, unknown };
}

function groupOf(groups: Map<TargetKind, BatchEntry[]>, kind: TargetKind): BatchEntry[] {
  const group = groups.get(kind) ?? [];
  groups.set(kind, group);
  return group;
}

function knows(kind: TargetKind, entry: BatchEntry): boolean {
  return (
    [...entry.amounts.keys()].every((name) => kind.columns.has(name)) &&
    [...entry.touches.keys()].every((name) => kind.touches.has(name))
  );
}

async function applyTogether(runner: QueryRunner, kind: TargetKind, entries: readonly BatchEntry[]): Promise<Outcome> {
  return { ...(await updateColumns(runner, kind, entries)), failed: [], updates: 1 };
}

/** Halves the entries until the refused rows stand alone. */
async function applyIsolating(runner: QueryRunner, kind: TargetKind, entries: readonly BatchEntry[]): Promise<Outcome> {
  await runner.query('SAVEPOINT counter_cache');
  try {
    const outcome = await applyTogether(runner, kind, entries);
    await runner.query('RELEASE SAVEPOINT counter_cache');
    return outcome;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await runner.query('ROLLBACK TO SAVEPOINT counter_cache');
    await runner.query('RELEASE SAVEPOINT counter_cache');
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      return {
        changes: [],
        locked: [],
        absent: [],
        failed: [{ target: only.target, failed: (error as Error).message }],
        updates: 1,
      };
    }
    const middle = Math.ceil(entries.length / 2);
    const left = await applyIsolating(runner, kind, entries.slice(0, middle));
    const right = await applyIsolating(runner, kind, entries.slice(middle));
    return {
      changes: [...left.changes, ...right.changes],
      locked: [...left.locked, ...right.locked],
      absent: [...left.absent, ...right.absent],
      failed: [...left.failed, ...right.failed],
      updates: left.updates + right.updates,
    };
  }
}

/**
 * SQLSTATE classes by which the database refuses a row: data exceptions, integrity violations, a view's check option,
 * and what a trigger raises.
 */
function isRefusal(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^(?:22|23|44|P0)/.test(code);
}
