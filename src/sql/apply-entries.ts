import type { QueryRunner } from 'typeorm';

import type { BatchEntry, Unapplied } from '../buffer/buffer';
import type { Definitions, TargetKind } from '../counter/definition';
import { kindIdOf } from '../counter/target';
import { undoSavepoint } from './savepoint';
import type { Hidden } from './sight';
import { type Change, updateColumns, type Updated } from './update-columns';

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

/** How the entries of one kind are applied: {@link together}, or {@link isolating} the rows that are refused. */
export type ApplyKind = (
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
  withChanges: boolean,
) => Promise<Outcome>;

type Outcome = Updated & { readonly failed: readonly Unapplied[]; readonly updates: number };

const SAVEPOINT = 'counter_cache';

/** Milliseconds after which a row that was locked is tried again. */
const LOCKED_BACKOFF = 500;

/** Milliseconds after which what this process does not know is offered to others again. */
export const UNKNOWN_BACKOFF = 2_000;

/** Milliseconds after which what this process may not see is offered to others again. */
const HIDDEN_BACKOFF = 2_000;

/**
 * Applies entries in two attempts at most: `attempt` runs in a transaction of its own, with all rows of a kind at once,
 * and, when the database refuses one of them, once more with savepoints, to find out which.
 */
export async function applyOrIsolate<T>(attempt: (applyKind: ApplyKind) => Promise<T>): Promise<T> {
  try {
    return await attempt(together);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return attempt(isolating);
  }
}

/**
 * Adds entries to the columns of their targets, kind by kind, inside the caller's transaction. `withChanges`: the report
 * holds the columns' values, too.
 */
export async function applyEntries(
  runner: QueryRunner,
  definitions: Definitions,
  entries: readonly BatchEntry[],
  applyKind: ApplyKind,
  withChanges: boolean,
): Promise<AppliedEntries> {
  const { known, unknown } = partition(definitions, entries);
  const unapplied = new Map<string, Unapplied>(unknown.map((row) => [row.target, row]));
  const changes: Change[] = [];
  const hiddenBy: Hidden[] = [];
  let updates = 0;
  for (const [kind, group] of known) {
    const outcome = await applyKind(runner, kind, group, withChanges);
    // Of a row that was left alone everything goes back, also what is known.
    for (const row of outcome.failed) unapplied.set(row.target, row);
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

/** Groups entries by kind. What this process does not know is kept for another: entries, or columns of them. */
function partition(
  definitions: Definitions,
  entries: readonly BatchEntry[],
): { known: Map<TargetKind, BatchEntry[]>; unknown: Unapplied[] } {
  const known = new Map<TargetKind, BatchEntry[]>();
  const unknown: Unapplied[] = [];
  for (const entry of entries) {
    const { target, amounts, touches } = entry;
    const kind = definitions.kinds.get(kindIdOf(target));
    const columns = kind && unknownColumns(kind, entry);
    if (kind === undefined || columns === undefined) unknown.push({ target, backoff: UNKNOWN_BACKOFF });
    else if (columns.length === 0) groupOf(known, kind).push(entry);
    else if (columns.length === amounts.size + touches.size) unknown.push({ target, backoff: UNKNOWN_BACKOFF });
    else {
      groupOf(known, kind).push(without(entry, columns));
      unknown.push({ target, backoff: UNKNOWN_BACKOFF, columns });
    }
  }
  return { known, unknown };
}

function groupOf(groups: Map<TargetKind, BatchEntry[]>, kind: TargetKind): BatchEntry[] {
  const group = groups.get(kind) ?? [];
  groups.set(kind, group);
  return group;
}

/** Columns of an entry that this process does not know. */
function unknownColumns(kind: TargetKind, { amounts, touches }: Pick<BatchEntry, 'amounts' | 'touches'>): string[] {
  const unknown: string[] = [];
  for (const name of amounts.keys()) if (!kind.columns.has(name)) unknown.push(name);
  for (const name of touches.keys()) if (!kind.touches.has(name)) unknown.push(name);
  return unknown;
}

function without({ target, amounts, touches }: BatchEntry, columns: readonly string[]): BatchEntry {
  const others = <T>(of: ReadonlyMap<string, T>) => new Map([...of].filter(([name]) => !columns.includes(name)));
  return { target, amounts: others(amounts), touches: others(touches) };
}

const together: ApplyKind = async (...entries) => ({ ...(await updateColumns(...entries)), failed: [], updates: 1 });

/** Halves the entries until the refused rows stand alone. */
async function isolating(
  runner: QueryRunner,
  kind: TargetKind,
  entries: readonly BatchEntry[],
  withChanges: boolean,
): Promise<Outcome> {
  await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  try {
    const outcome = await together(runner, kind, entries, withChanges);
    await runner.query(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    return outcome;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await undoSavepoint(runner, SAVEPOINT);
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      return {
        changes: [],
        locked: [],
        hidden: [],
        hiddenBy: null,
        failed: [{ target: only.target, failed: (error as Error).message }],
        updates: 1,
      };
    }
    const middle = Math.ceil(entries.length / 2);
    const left = await isolating(runner, kind, entries.slice(0, middle), withChanges);
    const right = await isolating(runner, kind, entries.slice(middle), withChanges);
    return {
      changes: [...left.changes, ...right.changes],
      locked: [...left.locked, ...right.locked],
      hidden: [...left.hidden, ...right.hidden],
      hiddenBy: left.hiddenBy ?? right.hiddenBy,
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
