import type { EntityTarget, FindOptionsWhere, ObjectLiteral } from 'typeorm';

import { checkArgument, checkKeys, metadataOf } from '../check-arguments';
import type { Counter, TargetTable } from '../model/definition';
import { describe } from '../describe';
import { ConfigurationError } from '../errors';
import { didYouMean } from '../suggest';
import type { JobContext } from '../engines/context';
import { checkIds, idOf, type TargetKey } from '../engines/targets';

/** Which targets and columns to recount; everything when empty. */
export interface RecountFilter<Entity extends ObjectLiteral = ObjectLiteral> {
  /** Names of counters (`counters.definitions[i].name`). */
  readonly counter?: string | readonly string[] | undefined;
  /** The target entity; of an inheritance hierarchy in one table, the one that the counters name. */
  readonly target?: EntityTarget<Entity> | undefined;
  /** Keys by which sources refer to the targets (usually the primary key). Needs `target` or `counter`. */
  readonly ids?: readonly TargetKey[] | undefined;
  /** Conditions on the target rows. Needs `target`, or a `counter` that has one. */
  readonly where?: FindOptionsWhere<NoInfer<Entity>> | undefined;
  /** First key, inclusive; for keys of one column. */
  readonly from?: string | number | bigint | undefined;
  /** Last key, inclusive; for keys of one column. */
  readonly to?: string | number | bigint | undefined;
  /** Where an earlier run left off: its report's `cursor`. */
  readonly cursor?: string | undefined;
  /**
   * Targets per step.
   *
   * @defaultValue 5,000; 2,500 where functions take part in the recount, 500 where a `method` does
   */
  readonly batchSize?: number | undefined;
  /** Stops after the current step; the report's cursor continues. */
  readonly signal?: AbortSignal | undefined;
  /** Called after every step. */
  readonly onProgress?:
    | ((progress: { readonly checked: number; readonly fixedCount: number; readonly cursor: string | null }) => void)
    | undefined;
}

const KEYS = [
  'counter',
  'target',
  'ids',
  'where',
  'from',
  'to',
  'cursor',
  'batchSize',
  'signal',
  'onProgress',
] satisfies (keyof RecountFilter)[];

const FILTER = 'the filter of a recount';

/** Where a run stands: the last key of one target table. */
export interface Cursor {
  readonly tableId: string;
  readonly after: readonly string[];
}

/**
 * The target tables that a filter names, in the order in which they are recounted.
 *
 * @throws ConfigurationError when it names nothing, or needs one target table and has several
 */
export function selectTables({ definitions, dataSource }: JobContext, filter: RecountFilter): TargetTable[] {
  checkKeys(filter, KEYS, FILTER);
  checkValues(filter);
  const counters = namedCounters(definitions.counters, filter);
  const metadata = filter.target === undefined ? null : metadataOf(dataSource, filter.target);
  const targeted = counters.flatMap(({ targets }) => targets.map(({ targetTable }) => targetTable));
  const targetTables = [...new Set(targeted)].filter(
    (targetTable) => metadata === null || targetTable.tablePath === metadata.tablePath,
  );
  if (targetTables.length === 0 && metadata !== null) {
    const known = [...new Set(targeted.map((targetTable) => targetTable.metadata.name))].join(', ');
    throw new ConfigurationError([`no counter of this filter targets ${metadata.name}. Name one of: ${known}`]);
  }
  checkRows(filter, targetTables);
  checkRange(filter, targetTables);
  return targetTables.toSorted((left, right) => (left.id < right.id ? -1 : 1));
}

function namedCounters(counters: readonly Counter[], { counter }: RecountFilter): readonly Counter[] {
  if (counter === undefined) return counters;
  const known = counters.map(({ name }) => name);
  const wanted = [counter].flat();
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length === 0) return counters.filter(({ name }) => wanted.includes(name));
  throw new ConfigurationError(
    unknown.map((name) => `unknown counter '${name}'${didYouMean(name, known)}. Known: ${known.join(', ')}`),
  );
}

function checkValues({ counter, batchSize, ids, where, signal, onProgress }: RecountFilter): void {
  const areNames = [counter].flat().every((name) => name === undefined || typeof name === 'string');
  checkArgument(areNames, FILTER, 'counter to be the name of a counter, or a list of names', counter);
  checkIds(ids, FILTER);
  const isStep = batchSize === undefined || (Number.isSafeInteger(batchSize) && batchSize > 0);
  checkArgument(isStep, FILTER, 'batchSize to be a positive integer', batchSize);
  const areConditions = where === undefined || (typeof where === 'object' && (where as unknown) !== null);
  checkArgument(areConditions, FILTER, 'where to be conditions on the target rows', where);
  checkArgument(isSignal(signal ?? undefined), FILTER, 'signal to be an AbortSignal', signal);
  const isCallable = (onProgress ?? undefined) === undefined || typeof onProgress === 'function';
  checkArgument(isCallable, FILTER, 'onProgress to be a function', onProgress);
}

/** Of any realm, or a polyfill's. */
function isSignal(signal: unknown): boolean {
  return signal === undefined || typeof (signal as Partial<AbortSignal>).aborted === 'boolean';
}

function checkRows({ ids, where, from, to }: RecountFilter, targetTables: readonly TargetTable[]): void {
  if (targetTables.length > 1 && [ids, where, from, to].some((option) => option !== undefined)) {
    const advice = 'name it with `target`, or with a `counter` that has one';
    throw new ConfigurationError([`\`ids\`, \`where\`, \`from\` and \`to\` need one target table: ${advice}`]);
  }
}

function checkRange({ from, to }: RecountFilter, targetTables: readonly TargetTable[]): void {
  const ends = [from, to].filter((end) => end !== undefined);
  if (ends.length === 0) return;
  for (const targetTable of targetTables) {
    if (targetTable.keys.length > 1) {
      const advice = 'use `where` or `ids` for a key of several';
      throw new ConfigurationError([`\`from\` and \`to\` need a key of one column: ${advice}`]);
    }
    for (const end of ends) idOf(targetTable, end);
  }
}

/** What a report gives as its `cursor`. */
export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/**
 * The cursor of an earlier report.
 *
 * @throws ConfigurationError when it is no cursor, or one of another filter's run
 */
export function decodeCursor(text: string, targetTables: readonly TargetTable[]): Cursor {
  const cursor = parseCursor(text);
  if (cursor === null) {
    throw new ConfigurationError([`expected cursor to be one that an earlier report returned, got: ${describe(text)}`]);
  }
  if (targetTables.some(({ id }) => id === cursor.tableId)) return cursor;
  throw new ConfigurationError(['the cursor belongs to a run with another filter: give the same filter as then']);
}

function parseCursor(text: string): Cursor | null {
  try {
    const { tableId, after } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Partial<Cursor>;
    return typeof tableId === 'string' && Array.isArray(after) ? { tableId, after: after.map(String) } : null;
  } catch {
    return null;
  }
}
