import type { QueryRunner } from 'typeorm';

import type { Row } from '../model/definition';
import { UPDATES } from '../dialects/postgres/count-updates';
import { escapeForBuilder, escapeName } from '../dialects/postgres/escape';
import { TIME } from '../dialects/postgres/outbox/enclose';
import type { RawResult } from './observed';
import type { Place } from './place';
import type { TablePlan } from './plan';
import { textName } from '../typeorm/row-text';
import { extendReturning } from '../typeorm/returning-clause';
import { nameVersions, type VersionNames } from '../typeorm/version-names';
import type { ExpressionMap, WriteBuilder } from '../typeorm/write-builder';

/** What a write did to one row; `null` where the row did not exist before, or does not any more. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** What a statement returned about the rows it changed. */
export interface Returned {
  readonly changes: readonly RowChange[];
  /** Per change of an insert that returned `marked-row`, or `counted-row`: whether the row was inserted, or an upsert updated it. */
  readonly inserted: readonly boolean[];
  /** The database's id of the transaction; `null` when no row was changed. */
  readonly transactionId: string | null;
  /** Oid of the table that was changed, where that is not known to be the one that is counted; otherwise `null`. */
  readonly elsewhere: string | null;
  /** The server's time, ms, where it was asked for and a row was changed; otherwise that of this process. */
  readonly time: number;
}

/**
 * What to return of a changed row: its only version that counts, the same with a mark whether an upsert inserted it (or,
 * where the database cannot say, with a count of the rows that it updated), or the versions before and after, which need
 * PostgreSQL 18.
 */
export type Versions = 'row' | 'marked-row' | 'counted-row' | 'old-and-new';

const PREFIX = '__cc_';
const NEW = `${PREFIX}n`;
const OLD = `${PREFIX}o`;
const XID = `${PREFIX}x`;
const TABLE = `${PREFIX}r`;
const INSERTED = `${PREFIX}i`;

const MAX_NAMES = 8;

/** Our columns of one plan and set of versions: the same for every builder. */
interface OwnColumns {
  /** By the names of the versions. */
  readonly sql: Map<string, string>;
  /** Of the row's columns, in the order in which their values are returned. */
  readonly names: readonly string[];
}

const known = new WeakMap<TablePlan, Map<Versions, OwnColumns>>();

/** Made once for all writes of a plan, which has one place. */
function ownColumns(plan: TablePlan, versions: Versions): OwnColumns {
  const own = known.get(plan)?.get(versions);
  if (own !== undefined) return own;
  const made = { sql: new Map(), names: readings(plan, null, escapeName).map(({ name }) => name) };
  known.set(plan, new Map(known.get(plan)).set(versions, made));
  return made;
}

function columnsSql(plan: TablePlan, versions: Versions, place: Place, names: VersionNames | null): string {
  const columns = (prefix: string, version: string | null): string[] =>
    readings(plan, version, escapeForBuilder).map(({ sql }, i) => `${sql} AS ${escapeName(`${prefix}${i}`)}`);
  return [
    ...columns(NEW, names?.new ?? null),
    ...(names === null ? [] : columns(OLD, names.old)),
    ...(versions === 'marked-row' ? [`(xmax = 0) AS ${escapeName(INSERTED)}`] : []),
    ...(versions === 'counted-row' ? [`${UPDATES} AS ${escapeName(INSERTED)}`] : []),
    `pg_current_xact_id() AS ${escapeName(XID)}`,
    `${place.returning()} AS ${escapeName(TABLE)}`,
  ].join(', ');
}

/** Our columns in the RETURNING clause of one builder. */
export class Returning {
  readonly #plan: TablePlan;
  readonly #versions: Versions;
  readonly #queryType: ExpressionMap['queryType'];
  readonly #relation: string;
  readonly #own: OwnColumns;
  readonly #place: Place;
  /** The caller, or TypeORM, returns columns as well. */
  #others = false;

  private constructor(plan: TablePlan, versions: Versions, place: Place, { queryType, mainAlias }: ExpressionMap) {
    this.#plan = plan;
    this.#versions = versions;
    this.#queryType = queryType;
    // TypeORM gives an alias to the table of an INSERT only.
    this.#relation = (queryType === 'insert' ? mainAlias?.name : undefined) ?? plan.metadata.tableName;
    this.#place = place;
    this.#own = ownColumns(plan, versions);
  }

  /**
   * Adds our columns to the RETURNING clause of the SQL that the builder makes. Every added column has an alias of ours,
   * so that TypeORM's own mapping of returned columns is not disturbed.
   */
  static addTo(builder: WriteBuilder, plan: TablePlan, versions: Versions, place: Place): Returning {
    const returning = new Returning(plan, versions, place, builder.expressionMap);
    extendReturning(builder, (base) => returning.#extend(base));
    return returning;
  }

  /** What is returned of each row. */
  get versions(): Versions {
    return this.#versions;
  }

  removeFrom(builder: WriteBuilder): void {
    extendReturning(builder, null);
  }

  #extend(base: string): string {
    this.#others = base !== '';
    if (this.#versions !== 'old-and-new') return `${base}${base === '' ? '' : ', '}${this.#columns(null)}`;
    const { clause, names } = nameVersions(base, this.#relation);
    return `${clause}${this.#columns(names)}`;
  }

  #columns(names: VersionNames | null): string {
    const key = names === null ? '' : `${names.old} ${names.new}`;
    const made = this.#own.sql.get(key) ?? columnsSql(this.#plan, this.#versions, this.#place, names);
    // Callers may name versions as they please: no more than a few are kept.
    if (this.#own.sql.size < MAX_NAMES) this.#own.sql.set(key, made);
    return made;
  }

  /** Reads our columns, and takes them out of the result again before TypeORM looks at it. */
  take(result: RawResult): Returned {
    const { rows } = result;
    const returned = {
      changes: rows.map((row) => this.#changeOf(row)),
      inserted: this.#insertedOf(rows),
      transactionId: rows[0] === undefined ? null : String(rows[0][XID]),
      elsewhere: this.#elsewhere(rows[0]),
      time: timeOf(rows[0]?.[TIME]),
    };
    // Without a RETURNING clause of the caller's there were no rows.
    result.rows = this.#others ? withoutOurs(rows) : [];
    return returned;
  }

  /** All rows of a statement are of one table, its partitions and children. */
  #elsewhere(row: Record<string, unknown> | undefined): string | null {
    if (row === undefined) return null;
    const oid = String(row[TABLE]);
    return this.#place.has(oid) ? null : oid;
  }

  #insertedOf(rows: readonly Record<string, unknown>[]): boolean[] {
    if (this.#versions === 'marked-row') return rows.map((row) => row[INSERTED] === true);
    if (this.#versions !== 'counted-row') return [];
    return rows.map((row, i) => row[INSERTED] === (rows[i - 1]?.[INSERTED] ?? '0'));
  }

  #changeOf(row: Record<string, unknown>): RowChange {
    if (this.#versions === 'old-and-new') return { before: this.#existing(row, OLD), after: this.#existing(row, NEW) };
    const only = this.#version(row, NEW);
    return this.#queryType === 'delete' ? { before: only, after: null } : { before: null, after: only };
  }

  /** All columns of a version that does not exist are NULL, and a primary key never is. */
  #existing(row: Record<string, unknown>, prefix: string): Row | null {
    const version = this.#version(row, prefix);
    return this.#plan.primaryKey.every((name) => version[name] === null) ? null : version;
  }

  #version(row: Record<string, unknown>, prefix: string): Row {
    const values: Record<string, unknown> = {};
    for (const [i, name] of this.#own.names.entries()) values[name] = row[`${prefix}${i}`];
    return values;
  }
}

/** Users may have the driver make something else of times than dates. */
function timeOf(value: unknown): number {
  const time = new Date(value as Date).getTime();
  return Number.isNaN(time) ? Date.now() : time;
}

/** New row objects: after `delete`, every later look at a row is slow. */
function withoutOurs(rows: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const names = Object.keys(rows[0] ?? {}).filter((name) => !name.startsWith(PREFIX));
  return rows.map((row) => {
    const others: Record<string, unknown> = {};
    for (const name of names) others[name] = row[name];
    return others;
  });
}

/** One value to read of a row: where the row holds it, and how to select it. */
interface Reading {
  readonly name: string;
  readonly sql: string;
}

/** What a plan reads of each row: columns as the driver gives them, and texts where those are not exact. */
export function readings(
  { columns, texts }: Pick<TablePlan, 'columns' | 'texts'>,
  alias: string | null,
  escape: (name: string) => string,
): readonly Reading[] {
  const sql = (name: string): string => `${alias === null ? '' : `${alias}.`}${escape(name)}`;
  return [
    ...columns.map((name) => ({ name, sql: sql(name) })),
    ...texts.map((name) => ({ name: textName(name), sql: `CAST(${sql(name)} AS text)` })),
  ];
}

/** The rows a statement is about to change, locked. `common` stands before SELECT. */
export async function lockRows(
  runner: QueryRunner,
  plan: Pick<TablePlan, 'columns' | 'texts'>,
  source: string,
  parameters: readonly unknown[],
  common = '',
): Promise<readonly Row[]> {
  const read = readings(plan, null, escapeName);
  const columns = read.map(({ sql }, i) => `${sql} AS ${escapeName(`${NEW}${i}`)}`).join(', ');
  const answer = await runner.query(`${common}SELECT ${columns} ${source} FOR UPDATE`, [...parameters], true);
  const records = answer.records as readonly Record<string, unknown>[];
  return records.map((record) => Object.fromEntries(read.map(({ name }, i) => [name, record[`${NEW}${i}`]])));
}
