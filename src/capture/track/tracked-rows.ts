import type { EntityManager, EntityMetadata, FindOptionsWhere, ObjectLiteral, QueryRunner } from 'typeorm';

import type { Counter, Row } from '../../model/definition';
import { escapeForBuilder, escapePath } from '../../dialects/postgres/escape';
import { type ActionRoot, plansBelow } from '../actions/actions-plan';
import { rowsBelow } from '../actions/cascade';
import { lockByKey } from '../locked-rows';
import type { Place } from '../place';
import type { TablePlan } from '../plan';
import { readings, type RowChange } from '../returning';
import { isMadeSince, versioned } from '../row-version';
import { keyOf } from '../../typeorm/row-text';
import type { TableChanges } from '../statement';

/** Conditions on source rows, as `find` takes them. */
export type TrackWhere = FindOptionsWhere<ObjectLiteral> | FindOptionsWhere<ObjectLiteral>[];

/** Which rows to track. */
export interface TrackedSet {
  readonly metadata: EntityMetadata;
  readonly where: TrackWhere;
  /** What to read of each row; of all classes of its table. */
  readonly plan: TablePlan;
  /** Where the rows have to be. */
  readonly place: Place;
  /** Where deletions of the rows spread to. */
  readonly node: ActionRoot | undefined;
}

interface TableRows {
  readonly plan: TablePlan;
  /** By primary key. */
  readonly rows: ReadonlyMap<string, Row>;
}

/** What is there at one moment, by table. */
export type Snapshot = ReadonlyMap<string, TableRows>;

/** What became of tracked rows. */
export interface Outcome {
  /** Rows that match before or after, first; rows below them; rows of the same tables that were captured in the meantime. */
  readonly tables: readonly TableChanges[];
  /** What takes back the captured changes of all these. */
  readonly inverse: readonly TableChanges[];
  /** Captured changes of rows of which it is only likely whether they were there before. */
  readonly inDoubt: readonly TableChanges[];
}

/** A row that was captured. */
interface Captured {
  /** A version of it, by which to find it. */
  readonly row: Row;
  /** What was there before the work; `null` when it is made in this transaction. */
  readonly before: Row | null;
  readonly isInDoubt: boolean;
}

type CapturedRows = ReadonlyMap<string, Captured>;

const NONE: CapturedRows = new Map();

const PREFIX = '__cc_n';

/** Alias of a row's table. */
const TABLE = '__cc_r';

/** Rows of a table that match conditions, with those that the database would delete or change together with them. */
export class TrackedRows {
  readonly #manager: EntityManager;
  readonly #runner: QueryRunner;
  readonly #set: TrackedSet;
  readonly #plans: ReadonlyMap<string, TablePlan>;

  constructor(manager: EntityManager, set: TrackedSet) {
    this.#manager = manager;
    this.#runner = manager.queryRunner as QueryRunner;
    this.#set = { ...set, plan: versioned(set.plan, 'select') };
    this.#plans =
      set.node === undefined ? new Map([[set.plan.metadata.tablePath, this.#set.plan]]) : plansBelow(set.node);
  }

  /** All tables that are read, escaped. */
  get tables(): readonly string[] {
    return [...this.#plans.keys()].map(escapePath);
  }

  /** Locks and reads what there is. */
  async read(): Promise<Snapshot> {
    const { plan, node } = this.#set;
    const rows = byKey(plan, await this.#matching());
    const snapshot = new Map<string, TableRows>([[plan.metadata.tablePath, { plan, rows }]]);
    if (node === undefined) return snapshot;
    for (const [below, found] of await rowsBelow(this.#runner, node, [...rows.values()])) {
      const { tablePath } = below.metadata;
      const known = snapshot.get(tablePath)?.rows ?? [];
      snapshot.set(tablePath, { plan: below, rows: new Map([...known, ...byKey(below, found)]) });
    }
    return snapshot;
  }

  /** Locks and reads the same rows again, those that match by now, and those that `captured` names by then. */
  async compare(before: Snapshot, transactionId: string, captured: () => readonly TableChanges[]): Promise<Outcome> {
    const { plan: main } = this.#set;
    const after = new Map<string, ReadonlyMap<string, Row>>();
    for (const [tablePath, { plan, rows }] of before) after.set(tablePath, byKey(plan, await this.#again(plan, rows)));
    const { tablePath } = main.metadata;
    after.set(tablePath, new Map([...(after.get(tablePath) ?? []), ...byKey(main, await this.#matching())]));
    // Not sooner: the rows show the writes that were under way when they were read.
    const kept = captured().filter(({ plan }) => this.#plans.has(plan.metadata.tablePath));
    const met = new Map(
      [...this.#plans.keys()].map((path) => [path, capturedRows(ofTable(path, kept), transactionId)]),
    );
    const others: TableChanges[] = [];
    for (const [path, plan] of this.#plans) {
      const known = new Set([...(before.get(path)?.rows.keys() ?? []), ...(after.get(path)?.keys() ?? [])]);
      others.push({ plan, changes: await this.#readCaptured(plan, met.get(path) ?? NONE, known) });
    }
    const looks = [...before].map(([path, { plan, rows }]) => ({
      plan,
      changes: changesOf(rows, after.get(path) ?? new Map(), met.get(path) ?? NONE),
    }));
    return {
      tables: [...looks, ...others],
      inverse: kept.map((table) => inverseOf(table, this.#plans.get(table.plan.metadata.tablePath)?.counters ?? [])),
      inDoubt: [...met].flatMap(([path, rows]) => inDoubtOf(ofTable(path, kept), before.get(path)?.rows, rows)),
    };
  }

  /**
   * Rows that were captured, and were neither there before nor match: raw SQL may have changed or removed them since, or
   * the database together with a tracked row.
   */
  async #readCaptured(plan: TablePlan, met: CapturedRows, known: ReadonlySet<string>): Promise<RowChange[]> {
    const others = [...met].filter(([key]) => !known.has(key));
    const rows = new Map(others.map(([key, { row }]) => [key, row]));
    const after = byKey(plan, await this.#again(plan, rows));
    return others.map(([key, { before }]) => ({ before, after: after.get(key) ?? null }));
  }

  async #again(plan: TablePlan, rows: ReadonlyMap<string, Row>): Promise<readonly Row[]> {
    return rows.size === 0 ? [] : lockByKey(this.#runner, plan, plan.primaryKey, [...rows.values()]);
  }

  async #matching(): Promise<Row[]> {
    const { metadata, where, plan, place } = this.#set;
    const query = this.#manager
      .createQueryBuilder<ObjectLiteral>(metadata.target as never, 't')
      .setFindOptions({ where, withDeleted: true, loadEagerRelations: false })
      .select([])
      .setLock('pessimistic_write', undefined, ['t']);
    const columns = readings(plan, 't', escapeForBuilder);
    for (const [i, { sql }] of columns.entries()) query.addSelect(sql, `${PREFIX}${i}`);
    query.addSelect(place.returning('t'), TABLE);
    // In one order: work that is tracked at the same time waits, and does not deadlock.
    for (const name of plan.primaryKey) query.addOrderBy(`t.${escapeForBuilder(name)}`);
    const rows = await query.getRawMany<Record<string, unknown>>();
    const oid = String(rows[0]?.[TABLE]);
    const refusal = rows.length === 0 || place.has(oid) ? null : await place.check(oid, this.#runner);
    if (refusal !== null) throw refusal;
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[`${PREFIX}${i}`]])));
  }
}

function byKey(plan: TablePlan, rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [keyOf(plan.primaryKey, row), row]));
}

function ofTable(tablePath: string, kept: readonly TableChanges[]): readonly TableChanges[] {
  return kept.filter(({ plan }) => plan.metadata.tablePath === tablePath);
}

function changesOf(rows: ReadonlyMap<string, Row>, after: ReadonlyMap<string, Row>, met: CapturedRows): RowChange[] {
  return [...new Set([...rows.keys(), ...after.keys()])].map((key) => ({
    before: rows.get(key) ?? met.get(key)?.before ?? null,
    after: after.get(key) ?? null,
  }));
}

/** Captured rows by primary key. What stood before the first change was there before, unless raw SQL had just made it. */
function capturedRows(kept: readonly TableChanges[], transactionId: string): CapturedRows {
  const rows = new Map<string, Captured>();
  for (const { plan, changes } of kept) {
    for (const { before, after } of changes) {
      const [old, now] = [before, after].map((row) => row && keyOf(plan.primaryKey, row));
      if (before !== null && typeof old === 'string' && !rows.has(old))
        rows.set(old, { row: before, before: isMadeSince(transactionId, before) ? null : before, isInDoubt: true });
      if (after !== null && typeof now === 'string' && !rows.has(now))
        rows.set(now, { row: after, before: null, isInDoubt: false });
    }
  }
  return rows;
}

function inDoubtOf(
  kept: readonly TableChanges[],
  known: ReadonlyMap<string, Row> | undefined,
  met: CapturedRows,
): TableChanges[] {
  return kept.map(({ plan, changes }) => {
    const isInDoubt = (row: Row | null): boolean => {
      const key = row && keyOf(plan.primaryKey, row);
      return key !== null && known?.has(key) !== true && met.get(key)?.isInDoubt === true;
    };
    return { plan, changes: changes.filter(({ before, after }) => isInDoubt(before) || isInDoubt(after)) };
  });
}

/** Counters that the tracked table does not look at keep what was captured. */
function inverseOf({ plan, changes }: TableChanges, counters: readonly Counter[]): TableChanges {
  return {
    plan: { ...plan, counters: plan.counters.filter((counter) => counters.includes(counter)) },
    changes: changes.map(({ before, after }) => ({ before: after, after: before })),
  };
}
