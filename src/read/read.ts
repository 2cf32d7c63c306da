import type { EntityManager, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';

import type { DeltaBuffer, Held } from '../engines/buffered/buffer';
import type { Unapplied } from '../model/pending';
import { byShard } from '../model/shard';
import { formatDecimal } from '../model/amount';
import type { PropertyAt } from '../model/property-types';
import { checkArgument, checkKeys } from '../check-arguments';
import type { CounterColumn, TargetTable } from '../model/definition';
import type { JobContext } from '../engines/context';
import { columnOf, idOf, type TargetKey } from '../engines/targets';
import type { AppliedBatches } from '../dialects/postgres/apply/ledger';
import { rowsOf, withConnection } from '../dialects/postgres/query';
import { driverValue } from '../dialects/postgres/counting/driver-value';
import { type ColumnValues, readColumn } from '../dialects/postgres/counting/read-column';

/** In these, each statement sees what is committed by then. */
const FRESH = new Set(['read committed', 'read uncommitted']);

/**
 * The query runner to read with: that of the caller's transaction; `null` for one of our own.
 *
 * @throws ConfigurationError for wrong options
 */
async function readRunnerOf(options: ReadOptions, { metadata }: TargetTable): Promise<QueryRunner | null> {
  checkKeys(options, ['manager'], 'read');
  const { manager } = options;
  if (manager === undefined) return null;
  // Not by comparing DataSources: one of them may be a proxy.
  const isOwn = (manager as EntityManager | null)?.dataSource?.entityMetadatas.includes(metadata) === true;
  checkArgument(isOwn, 'read', '`manager` to be an EntityManager of the DataSource of these counters', manager);
  const { queryRunner: runner } = manager;
  if (runner === undefined) return null;
  const [row] = await rowsOf(runner, `SELECT current_setting('transaction_isolation') AS level`);
  return FRESH.has(String(row?.['level'])) ? runner : null;
}

/** How often a read is repeated because amounts moved between buffer and column meanwhile. */
const ATTEMPTS = 20;

/** Targets read in one statement. */
const TARGETS = 1_000;

/** How to read counters. */
export interface ReadOptions {
  /**
   * Of an open transaction, whose connection is used: nothing waits for another one, and rows that the transaction has made
   * are seen. What it counts is not, before COMMIT. Under REPEATABLE READ and SERIALIZABLE, whose snapshot may be older than
   * what was applied since, another connection is used all the same.
   */
  readonly manager?: EntityManager | undefined;
}

/**
 * A counter as TypeORM hydrates its property: a number for integers, text for `bigint` and `numeric`, or what the column's
 * transformer makes of them; `null` where the row does not exist. Where the type of the property is not known, any of them.
 */
export type CounterValue<Entity = ObjectLiteral, Column extends string = string> =
  unknown extends PropertyAt<Entity, Column>
    ? number | bigint | string | null
    : NonNullable<PropertyAt<Entity, Column>> | null;

/** What a caller asks for. */
export interface Asked {
  readonly target: EntityTarget<ObjectLiteral>;
  readonly given: TargetKey | readonly TargetKey[];
  readonly column: string;
  readonly options: ReadOptions;
}

/**
 * A counter of one target, or of several by their keys.
 *
 * @throws ConfigurationError for wrong arguments
 */
export async function readGiven(context: JobContext, { target, given, column, options }: Asked): Promise<unknown> {
  const isGiven = given !== null && given !== undefined && (typeof given !== 'object' || Array.isArray(given));
  checkArgument(isGiven, 'read', 'its second argument to be a key, or a list of keys', given);
  const counterColumn = columnOf(context, target, column);
  const ids = Array.isArray(given) ? (given as readonly TargetKey[]) : [given as TargetKey];
  const keys = ids.map((id) => idOf(counterColumn.targetTable, id));
  const runner = await readRunnerOf(options, counterColumn.targetTable);
  const values = await readCounters(context, counterColumn, keys, runner);
  return Array.isArray(given) ? new Map(ids.map((id, i) => [id, values[i] ?? null])) : (values[0] ?? null);
}

/**
 * Counters as if everything confirmed were applied: pending and claimed amounts, the column and the ledger in one SQL
 * statement, and the buffer's version again; repeated, for shards in which an amount moved in between.
 *
 * @returns one value per target, in the order given
 */
async function readCounters(
  context: JobContext,
  column: CounterColumn,
  targets: readonly string[],
  runner: QueryRunner | null,
): Promise<unknown[]> {
  const distinct = [...new Set(targets)];
  const values = new Map<string, unknown>();
  for (let at = 0; at < distinct.length; at += TARGETS) {
    for (const [target, amount] of await readSome(context, column, distinct.slice(at, at + TARGETS), runner))
      values.set(target, valueOf(context, column, amount));
  }
  return targets.map((target) => values.get(target) ?? null);
}

function valueOf(
  { dataSource }: JobContext,
  { sqlType, scale, hydrate }: CounterColumn,
  amount: bigint | null,
): unknown {
  return amount === null ? null : hydrate(driverValue(dataSource, sqlType, formatDecimal(amount, scale)));
}

/** What one shard holds of some targets, at one version. */
interface ShardView {
  readonly shard: number;
  readonly version: number;
  readonly held: readonly Held[];
}

async function readSome(
  context: JobContext,
  column: CounterColumn,
  targets: readonly string[],
  runner: QueryRunner | null,
): Promise<Map<string, bigint | null>> {
  const { buffer } = context;
  const amounts = new Map<string, bigint | null>();
  let before = await viewShards(
    buffer,
    byShard(targets, (target) => target, buffer.shards),
  );
  for (let attempt = 1; before.length > 0; attempt++) {
    const worth = await readWorth(context, column, before, runner);
    const after = await viewShards(buffer, new Map(before.map(({ shard, held }) => [shard, held.map(targetOf)])));
    const moved = after.filter(({ version }, i) => version !== before[i]?.version && attempt < ATTEMPTS);
    const again = new Set(moved.map(({ shard }) => shard));
    for (const { target } of before.filter(({ shard }) => !again.has(shard)).flatMap(({ held }) => held))
      amounts.set(target, worth.get(target) ?? null);
    // What was seen after one statement was seen before the next.
    before = moved;
  }
  return amounts;
}

function viewShards(
  buffer: DeltaBuffer,
  groups: ReadonlyMap<number, readonly string[]>,
): Promise<readonly ShardView[]> {
  return Promise.all([...groups].map(async ([shard, targets]) => ({ shard, ...(await buffer.read(shard, targets)) })));
}

function targetOf({ target }: Held): string {
  return target;
}

/** The column, and what of the amounts in the buffer is not applied to it. */
async function readWorth(
  { dataSource, tables }: JobContext,
  column: CounterColumn,
  views: readonly ShardView[],
  given: QueryRunner | null,
): Promise<Map<string, bigint | null>> {
  const all = views.flatMap(({ held }) => held);
  const batches = [...new Set(all.flatMap(({ claims }) => claims.map(({ batch }) => batch)))];
  const read = (runner: QueryRunner): Promise<ColumnValues> =>
    readColumn(runner, tables, column, all.map(targetOf), batches);
  const { values, applied } = await (given === null ? withConnection(dataSource, read) : read(given));
  return new Map(
    all.map((held, i) => {
      const value = values[i] ?? null;
      return [held.target, value === null ? null : value + heldAmount(held, column.name, applied)];
    }),
  );
}

function heldAmount({ target, claims, pending }: Held, column: string, applied: AppliedBatches): bigint {
  const claimed = claims
    .filter(({ batch }) => !isApplied(applied.get(batch), target, column))
    .reduce((sum, { amounts }) => sum + (amounts.get(column) ?? 0n), 0n);
  return claimed + (pending.get(column) ?? 0n);
}

/** Whether an applied batch applied a column of a target: what it left out is given back later. */
function isApplied(unapplied: ReadonlyMap<string, Unapplied> | undefined, target: string, column: string): boolean {
  if (unapplied === undefined) return false;
  const left = unapplied.get(target);
  if (left === undefined) return true;
  return 'columns' in left && left.columns !== undefined && !left.columns.includes(column);
}
