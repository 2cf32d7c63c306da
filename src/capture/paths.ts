import type { QueryRunner } from 'typeorm';

import type { CounterTarget, KeyColumn, PathStep, Row, TargetTable } from '../model/definition';
import { everyTarget, isKeyText, keyText, targetId } from '../model/target';
import { NotPermittedError } from '../errors';
import { followPath, type KeyTexts } from '../dialects/postgres/counting/follow-path';
import { type Hidden, hiddenProblem } from '../dialects/postgres/sight';
import type { DatedEnd } from './transaction/dated-ends';
import type { PathLink } from './actions/links';
import type { TablePlan } from './plan';
import type { RowChange } from './returning';
import type { OnNotPermitted } from './actions/spreading-reach';
import type { Strategy, TableChanges } from './statement';

/**
 * Makes a strategy follow paths: what it captured is completed, by further queries, with the targets that paths lead to,
 * before it is recorded.
 */
export function following(strategy: Strategy, appearing: () => Appearing, onNotPermitted: OnNotPermitted): Strategy {
  return async (statement) => {
    const captured: { id: string | null; tables: readonly TableChanges[] }[] = [];
    const answer = await strategy({
      ...statement,
      record: (id, tables) => void captured.push({ id, tables }),
      // All keys are followed by one query.
      recordSlice: null,
    });
    for (const { id, tables } of captured)
      statement.record(id, await followTables(statement.runner, tables, { appearing: appearing(), onNotPermitted }));
    return answer;
  };
}

/**
 * Links that rows may hang below already when their row has no version before: all of them, where such a row is a changed one
 * whose versions are not paired.
 */
type Appearing = ReadonlySet<PathLink> | 'all';

/** How paths are followed. */
interface FollowOptions {
  readonly appearing: Appearing;
  readonly onNotPermitted: OnNotPermitted;
}

/** Completes changes with the targets that paths lead to, and with those that moved rows led, or lead, to. */
export async function followTables(
  runner: QueryRunner,
  tables: readonly TableChanges[],
  { appearing, onNotPermitted }: FollowOptions,
): Promise<TableChanges[]> {
  const followed: TableChanges[] = [];
  for (const { plan, changes, moved = [] } of tables) {
    const paths = new FollowedPaths(runner, onNotPermitted);
    const completed = await followSources(paths, plan, changes);
    const led = await followMoved(paths, plan, changes, appearing);
    followed.push({ plan, changes: completed, moved: [...moved, ...led, ...paths.unseen], dated: paths.dated });
  }
  return followed;
}

/** Follows paths in one transaction, and keeps what it saw there if that may be out of date. */
class FollowedPaths {
  readonly dated: DatedEnd[] = [];
  /** Ask for the recalculation of all targets that a path may lead to by a row that was not seen. */
  readonly unseen = new Set<string>();
  readonly #runner: QueryRunner;
  readonly #onNotPermitted: OnNotPermitted;

  constructor(runner: QueryRunner, onNotPermitted: OnNotPermitted) {
    this.#runner = runner;
    this.#onNotPermitted = onNotPermitted;
  }

  /** Follows the distinct keys, in one query; none when there are none. */
  async follow(
    targetTable: TargetTable,
    steps: readonly PathStep[],
    keys: readonly (KeyTexts | null)[],
  ): Promise<readonly (KeyTexts | null)[]> {
    const distinct = new Map(keys.flatMap((key) => (key === null ? [] : [[JSON.stringify(key), key]])));
    if (distinct.size === 0) return keys;
    const given = [...distinct.values()];
    const { ends, isDated, hidden } = await followPath(this.#runner, steps, given);
    if (hidden !== null) {
      this.unseen.add(everyTarget(targetTable.id));
      this.#onNotPermitted(unseenPath(hidden));
    }
    if (isDated)
      for (const [i, key] of given.entries()) this.dated.push({ targetTable, steps, key, end: ends[i] ?? null });
    const found = new Map([...distinct.keys()].map((name, i) => [name, ends[i] ?? null]));
    return keys.map((key) => (key === null ? null : (found.get(JSON.stringify(key)) ?? null)));
  }
}

function unseenPath({ role, tables }: Hidden): NotPermittedError {
  const problems = tables.map((table) => hiddenProblem(table, role));
  const summary =
    'intermediate rows on the way from sources to targets cannot be seen: all targets that they may lead to are recounted, which is expensive';
  return new NotPermittedError(summary, problems, { role, tables });
}

type PathTarget = CounterTarget & { readonly path: NonNullable<CounterTarget['path']> };

async function followSources(
  paths: FollowedPaths,
  { counters }: TablePlan,
  changes: readonly RowChange[],
): Promise<readonly RowChange[]> {
  const targets = new Map(
    counters.flatMap((counter) =>
      counter.targets.flatMap((target) => (target.path === null ? [] : [[target.path.id, target as PathTarget]])),
    ),
  );
  const rows = changes.flatMap(({ before, after }) => [before, after]).filter((row) => row !== null);
  if (targets.size === 0 || rows.length === 0) return changes;
  const completed = new Map<Row, Record<string, unknown>>(rows.map((row) => [row, { ...row }]));
  for (const target of targets.values()) {
    const keys = rows.map((row) => entryOf(target, row));
    const ends = await paths.follow(target.targetTable, target.path.steps, keys);
    for (const [i, row] of rows.entries()) {
      const key = target.foreignKeys.map(({ name }, at) => [name, ends[i]?.[at] ?? null]);
      Object.assign(completed.get(row) ?? {}, Object.fromEntries(key));
    }
  }
  const complete = (row: Row | null): Row | null => (row === null ? null : (completed.get(row) ?? row));
  return changes.map(({ before, after }) => ({ before: complete(before), after: complete(after) }));
}

/** What a row refers to the first row of a path by; `null` when it refers to none. */
function entryOf({ type, path: { entry, steps } }: PathTarget, row: Row): KeyTexts | null {
  if (type !== null && keyText(row[type.column]) !== type.value) return null;
  const key = keyOfRow(row, entry);
  const fits = type === null || key?.every((value, i) => isKeyText(value ?? '', steps[0]?.keys[i]?.sqlType ?? ''));
  return fits ? key : null;
}

/** Targets of intermediate rows, from before and after changes that move what hangs below. */
async function followMoved(
  paths: FollowedPaths,
  { links }: TablePlan,
  changes: readonly RowChange[],
  appearing: Appearing,
): Promise<readonly string[]> {
  const moved = new Set<string>();
  for (const link of links) {
    const rows = changes.flatMap((change) => movedRows(link, change, appearing));
    const keys = rows.map((row) => keyOfRow(row, link.step.foreignKeys));
    const ends = link.further.length === 0 ? keys : await paths.follow(link.targetTable, link.further, keys);
    for (const end of ends) {
      const target = end === null ? null : targetId(link.targetTable.id, end);
      if (target !== null) moved.add(target);
    }
  }
  return [...moved];
}

/** The versions of an intermediate row whose target has to be recounted. */
function movedRows(link: PathLink, { before, after }: RowChange, appearing: Appearing): Row[] {
  const { step } = link;
  if (before === null) {
    const mayLead = appearing === 'all' || appearing.has(link);
    return after !== null && mayLead && leadsOn(step, after) ? [after] : [];
  }
  // Sources below may go in the same statement: then their paths end here.
  if (after === null) return leadsOn(step, before) ? [before] : [];
  const [led, leads] = [leadsOn(step, before), leadsOn(step, after)];
  if (led && leads && sameColumns([...step.keys, ...step.foreignKeys], before, after)) return [];
  return [...(led ? [before] : []), ...(leads ? [after] : [])];
}

function leadsOn({ deletedColumn, where }: PathStep, row: Row): boolean {
  const isDeleted = deletedColumn !== null && (row[deletedColumn] ?? null) !== null;
  return !isDeleted && (where === null || where.test(row));
}

function sameColumns(columns: readonly KeyColumn[], before: Row, after: Row): boolean {
  return columns.every(({ name, sqlType }) => keyText(before[name], sqlType) === keyText(after[name], sqlType));
}

function keyOfRow(row: Row, columns: readonly KeyColumn[]): KeyTexts | null {
  const key = columns.map(({ name, sqlType }) => keyText(row[name], sqlType));
  return key.includes(null) ? null : key;
}
