import type { QueryRunner } from 'typeorm';

import type { Row } from '../counter/definition';
import { escapeForBuilder, escapeName } from '../sql/escape';
import type { RawResult } from './observed';
import type { TablePlan } from './plan';
import { textName } from './row-text';
import type { ExpressionMap, WriteBuilder } from './write-builder';

/** What a write did to one row; `null` where the row did not exist before, or does not any more. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** What a statement returned about the rows it changed. */
export interface Returned {
  readonly changes: readonly RowChange[];
  /** Per change of an insert that returned `row`: whether the row was inserted, or an upsert updated it. */
  readonly inserted: readonly boolean[];
  /** The database's id of the transaction; `null` when no row was changed. */
  readonly transactionId: string | null;
}

/** Which versions of a row to return: `OLD` and `NEW` need PostgreSQL 18. */
export type Versions = 'row' | 'old-and-new';

const PREFIX = '__cc_';
const NEW = `${PREFIX}n`;
const OLD = `${PREFIX}o`;
const XID = `${PREFIX}x`;
const INSERTED = `${PREFIX}i`;

/** Our columns in the RETURNING clause of one builder. */
export class Returning {
  readonly #plan: TablePlan;
  readonly #versions: Versions;
  readonly #queryType: ExpressionMap['queryType'];
  /** The caller, or TypeORM, returns columns as well. */
  #others = false;

  private constructor(plan: TablePlan, versions: Versions, queryType: ExpressionMap['queryType']) {
    this.#plan = plan;
    this.#versions = versions;
    this.#queryType = queryType;
  }

  /**
   * Adds our columns to the RETURNING clause of whatever SQL the builder makes. Every added column has an alias of ours,
   * so that TypeORM's own mapping of returned columns is not disturbed.
   */
  static addTo(builder: WriteBuilder, plan: TablePlan, versions: Versions): Returning {
    const returning = new Returning(plan, versions, builder.expressionMap.queryType);
    builder.createReturningExpression = function (type): string {
      const base = (Object.getPrototypeOf(this) as WriteBuilder).createReturningExpression.call(this, type);
      returning.#others = base !== '';
      const both = versions === 'old-and-new' ? `WITH (OLD AS ${OLD}, NEW AS ${NEW}) ` : '';
      return `${both}${[base, ...returning.#columns()].filter(Boolean).join(', ')}`;
    };
    return returning;
  }

  removeFrom(builder: Partial<WriteBuilder>): void {
    delete builder.createReturningExpression;
  }

  /** Reads our columns, and takes them out of the result again before TypeORM looks at it. */
  take(result: RawResult): Returned {
    const { rows } = result;
    const returned = {
      changes: rows.map((row) => this.#changeOf(row)),
      inserted: rows.map((row) => row[INSERTED] === true),
      transactionId: rows[0] === undefined ? null : String(rows[0][XID]),
    };
    for (const row of rows) for (const name of Object.keys(row)) if (name.startsWith(PREFIX)) delete row[name];
    // Without a RETURNING clause of the caller's there were no rows.
    if (!this.#others) result.rows = [];
    return returned;
  }

  #columns(): string[] {
    const both = this.#versions === 'old-and-new';
    const columns = (version: string): string[] =>
      readings(this.#plan, both ? version : null, escapeForBuilder).map(
        ({ sql }, i) => `${sql} AS ${escapeName(`${version}${i}`)}`,
      );
    return [
      ...columns(NEW),
      ...(both ? columns(OLD) : []),
      ...(this.#queryType === 'insert' && !both ? [`(xmax = 0) AS ${escapeName(INSERTED)}`] : []),
      // CAST, not `::`: TypeORM would take `:text` for a parameter of that name.
      `CAST(pg_current_xact_id() AS text) AS ${escapeName(XID)}`,
    ];
  }

  #changeOf(row: Record<string, unknown>): RowChange {
    const after = this.#version(row, NEW);
    if (this.#versions === 'old-and-new') return { before: this.#version(row, OLD), after };
    return this.#queryType === 'delete' ? { before: after, after: null } : { before: null, after };
  }

  #version(row: Record<string, unknown>, prefix: string): Row | null {
    // All columns of a version that does not exist are NULL, and a primary key never is.
    const read = readings(this.#plan, null, escapeName);
    const values: Row = Object.fromEntries(read.map(({ name }, i) => [name, row[`${prefix}${i}`]]));
    return this.#plan.primaryKey.every((name) => values[name] === null) ? null : values;
  }
}

/** One value to read of a row: where the row holds it, and how to select it. */
interface Reading {
  readonly name: string;
  readonly sql: string;
}

/** What a plan reads of each row: columns as the driver gives them, and texts where those do not tell enough. */
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
