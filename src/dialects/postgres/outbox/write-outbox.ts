import type { QueryRunner } from 'typeorm';

import type { WakeUp } from '../../../model/pending';
import { CounterCacheError } from '../../../errors';
import type { ResultRow } from '../query';
import type { TablePaths } from '../installation/tables';

/** One row to be written to the outbox. */
export interface OutboxDelta {
  readonly shard: number;
  readonly target: string;
  /** `null` when no column is changed. */
  readonly column: string | null;
  /** Units of 10^-scale of the column; within 64 bits. */
  readonly amount: bigint;
  readonly touches: readonly string[];
  /** Milliseconds until it is due; times of PostgreSQL end somewhere, some 10^14 from now. */
  readonly wait: number;
  /** Due at once when the absolute sum of what waits for the column reaches it; 0 is off. */
  readonly flushAt: number;
  /** Whole milliseconds. */
  readonly recalculateIn: number | null;
  /** Asks for a repair of the target, at once. */
  readonly repair: boolean;
}

/** What was written. */
export interface Written {
  readonly ids: readonly string[];
  /** When the rows are due, by the database's clock. */
  readonly wakeUps: readonly WakeUp[];
}

/** Which rows a transaction writes. */
export interface Replacement {
  /** The transaction's id: what is sent behind its end changes nothing. */
  readonly transactionId: string;
  /** Rows that it wrote before, and that these replace. */
  readonly replaced: readonly string[];
  readonly deltas: readonly OutboxDelta[];
  /** Due times are rounded up to multiples of it, ms. */
  readonly window: number;
}

/** Writes rows in the caller's own transaction: one statement, and one more before it where rows are replaced. */
export async function writeOutbox(
  runner: QueryRunner,
  tables: TablePaths,
  { transactionId, replaced, deltas, window }: Replacement,
): Promise<Written> {
  if (replaced.length > 0) await runner.query(deleteSql(tables), [replaced, transactionId]);
  if (deltas.length === 0) return { ids: [], wakeUps: [] };
  const parameters: unknown[] = [window, transactionId];
  const source = deltas.length > MAX_VALUES ? arraysOf(deltas, parameters) : valuesOf(deltas, parameters);
  const isSummed = deltas.some(({ flushAt }) => flushAt > 0);
  const { records } = await runner.query(insertSql(tables, source, isSummed), parameters, true);
  const rows = records as readonly ResultRow[];
  if (rows.length < deltas.length) throw ended();
  const wakeUps = new Map<string, WakeUp>();
  for (const row of rows) {
    const [shard, at, delay] = [Number(row['shard']), Math.round(Number(row['at'])), Number(row['delay'])];
    wakeUps.set(`${shard} ${at}`, { kind: 'reconcile', shard, at, delay });
  }
  return { ids: rows.map((row) => String(row['id'])), wakeUps: [...wakeUps.values()] };
}

/** What is sent behind the end of its transaction changes nothing. */
const isInside = (parameter: string): string => `pg_current_xact_id_if_assigned()::text = ${parameter}`;

function deleteSql({ outbox }: TablePaths): string {
  return `DELETE FROM ${outbox} WHERE "id" = ANY($1::bigint[]) AND ${isInside('$2')}`;
}

/** The server's time at the statement, ms. */
const NOW = 'extract(epoch FROM statement_timestamp())::double precision * 1000';

/** Begins every INSERT into the outbox: what a writer gives. */
export function insertInto(outbox: string): string {
  return `INSERT INTO ${outbox} AS o ("shard", "target", "column", "amount", "touches", "written_at", "due", "recalculate_in", "repair")`;
}

/** Rows that are written as VALUES: planned faster than arrays, as long as they are few. */
const MAX_VALUES = 8;

/** The columns of what is inserted, with the types of their parameters. */
const COLUMNS = {
  shard: 'integer',
  target: 'text',
  col: 'text',
  amount: 'bigint',
  touches: 'text',
  wait: 'double precision',
  batch: 'double precision',
  recalculate: 'bigint',
  repair: 'boolean',
} as const;

const TYPES = Object.values(COLUMNS);

/** One delta, in the order of the columns. */
function valuesOfOne({ amount, touches, ...delta }: OutboxDelta): unknown[] {
  const { shard, target, column, wait, flushAt, recalculateIn, repair } = delta;
  return [shard, target, column, amount.toString(), arrayLiteral(touches), wait, flushAt, recalculateIn, repair];
}

function valuesOf(deltas: readonly OutboxDelta[], parameters: unknown[]): string {
  const rows = deltas.map((delta) =>
    valuesOfOne(delta)
      .map((value, i) => `$${parameters.push(value)}::${TYPES[i]}`)
      .join(', '),
  );
  return `(VALUES (${rows.join('), (')}))`;
}

function arraysOf(deltas: readonly OutboxDelta[], parameters: unknown[]): string {
  const rows = deltas.map(valuesOfOne);
  return `unnest(${TYPES.map((type, i) => `$${parameters.push(rows.map((row) => row[i]))}::${type}[]`).join(', ')})`;
}

/**
 * Planned with every transaction: nothing that is not needed may stand in it. What waits is only added up for counters
 * with a `flushAt`.
 */
function insertSql({ outbox }: TablePaths, source: string, isSummed: boolean): string {
  const waiting = `SELECT COALESCE(sum(x."amount"), 0) FROM ${outbox} x
    WHERE x."target" = u.target AND x."column" = u.col AND x."applied_at" IS NULL`;
  const isFull = isSummed
    ? ` OR CASE WHEN u.batch > 0 THEN abs((${waiting}) + u.amount) >= u.batch ELSE false END`
    : '';
  return `
    ${insertInto(outbox)}
    SELECT u.shard, u.target, u.col, u.amount, u.touches::text[], statement_timestamp(),
      to_timestamp(CASE WHEN u.repair${isFull} THEN floor(${NOW} / $1) ELSE ceil((${NOW} + u.wait) / $1) END * $1 / 1000),
      u.recalculate, u.repair
    FROM ${source} AS u(${Object.keys(COLUMNS).join(', ')})
    WHERE ${isInside('$2')}
    RETURNING o."id"::text AS id, o."shard" AS shard, extract(epoch FROM o."due") * 1000 AS at,
      extract(epoch FROM o."due" - statement_timestamp()) * 1000 AS delay`;
}

function ended(): CounterCacheError {
  return new CounterCacheError(
    'WRITE_FAILED',
    'the transaction ended while its deltas were written to the outbox. Await COMMIT before ROLLBACK, and send it once',
  );
}

/** A text array as PostgreSQL writes it: `unnest` of an array of arrays would take it apart. */
export function arrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`;
}
