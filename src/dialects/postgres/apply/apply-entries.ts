import type { QueryRunner } from 'typeorm';

import type { BatchEntry, Unapplied } from '../../../model/pending';
import type { Definitions, TargetTable } from '../../../model/definition';
import { tableIdOf } from '../../../model/target';
import { type ApplyTable, together } from './apply-table';
import { isAboutRows } from './divide';
import { isolating } from './isolate';
import type { Hidden } from '../sight';
import type { Change } from './update-columns';

/** What became of entries. */
export interface AppliedEntries {
  /** Locked rows, rows that the database refused, and what this process does not know: rows, or columns of them. */
  readonly unapplied: readonly Unapplied[];
  readonly changes: readonly Change[];
  /** UPDATE statements sent to target tables. */
  readonly updates: number;
  /** Targets of which this process does not know the table or a column (a rolling deploy); among `unapplied`. */
  readonly unknown: readonly string[];
  /** What may have hidden rows from this process: they are among `unapplied`. */
  readonly hiddenBy: readonly Hidden[];
}

/** Milliseconds after which a row that was locked is tried again. */
const LOCKED_BACKOFF = 500;

/** Milliseconds after which what this process does not know is offered to others again. */
const UNKNOWN_BACKOFF = 2_000;

/** Milliseconds after which what this process may not see is offered to others again. */
const HIDDEN_BACKOFF = 2_000;

/**
 * Applies entries in two attempts at most: `attempt` runs in a transaction of its own, with all rows of a target table at once,
 * and, when that fails for what some of them may be to blame, once more with savepoints, to find out which (I11). What is
 * transient is thrown: all of it is retried later.
 */
export async function applyOrIsolate<T>(attempt: (applyTable: ApplyTable) => Promise<T>): Promise<T> {
  try {
    return await attempt(together);
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    return attempt(isolating);
  }
}

/**
 * Adds entries to the columns of their targets, table by table, inside the caller's transaction. `withChanges`: the report
 * holds the columns' values, too.
 */
export async function applyEntries(
  runner: QueryRunner,
  definitions: Definitions,
  entries: readonly BatchEntry[],
  applyTable: ApplyTable,
  withChanges: boolean,
): Promise<AppliedEntries> {
  const { known, unknown } = partition(definitions, entries);
  const unapplied = new Map<string, Unapplied>(unknown.map((row) => [row.target, row]));
  const changes: Change[] = [];
  const hiddenBy: Hidden[] = [];
  let updates = 0;
  for (const [targetTable, group] of known) {
    const outcome = await applyTable(runner, targetTable, group, withChanges);
    // Of a row that was left alone everything goes back, also what is known.
    for (const row of outcome.left) unapplied.set(row.target, row);
    for (const target of outcome.locked) unapplied.set(target, { target, backoff: LOCKED_BACKOFF });
    for (const target of outcome.hidden) unapplied.set(target, { target, backoff: HIDDEN_BACKOFF });
    if (outcome.hiddenBy !== null) hiddenBy.push(outcome.hiddenBy);
    changes.push(...outcome.changes);
    updates += outcome.updates;
  }
  return {
    unapplied: [...unapplied.values()],
    unknown: unknown.map(({ target }) => target),
    hiddenBy,
    changes,
    updates,
  };
}

/** Groups entries by target table. What this process does not know is kept for another: entries, or columns of them. */
function partition(
  definitions: Definitions,
  entries: readonly BatchEntry[],
): { known: Map<TargetTable, BatchEntry[]>; unknown: Unapplied[] } {
  const known = new Map<TargetTable, BatchEntry[]>();
  const unknown: Unapplied[] = [];
  for (const entry of entries) {
    const { target, amounts, touches } = entry;
    const targetTable = definitions.targetTables.get(tableIdOf(target));
    const columns = targetTable && unknownColumns(targetTable, entry);
    if (targetTable === undefined || columns === undefined) unknown.push({ target, backoff: UNKNOWN_BACKOFF });
    else if (columns.length === 0) groupOf(known, targetTable).push(entry);
    else if (columns.length === amounts.size + touches.size) unknown.push({ target, backoff: UNKNOWN_BACKOFF });
    else {
      groupOf(known, targetTable).push(without(entry, columns));
      unknown.push({ target, backoff: UNKNOWN_BACKOFF, columns });
    }
  }
  return { known, unknown };
}

function groupOf(groups: Map<TargetTable, BatchEntry[]>, targetTable: TargetTable): BatchEntry[] {
  const group = groups.get(targetTable) ?? [];
  groups.set(targetTable, group);
  return group;
}

/** Columns of an entry that this process does not know. */
function unknownColumns(
  targetTable: TargetTable,
  { amounts, touches }: Pick<BatchEntry, 'amounts' | 'touches'>,
): string[] {
  const unknown: string[] = [];
  for (const name of amounts.keys()) if (!targetTable.columns.has(name)) unknown.push(name);
  for (const name of touches.keys()) if (!targetTable.touches.has(name)) unknown.push(name);
  return unknown;
}

function without({ target, amounts, touches }: BatchEntry, columns: readonly string[]): BatchEntry {
  const others = <T>(of: ReadonlyMap<string, T>) => new Map([...of].filter(([name]) => !columns.includes(name)));
  return { target, amounts: others(amounts), touches: others(touches) };
}
