import type { QueryRunner } from 'typeorm';

import type { Alarm } from '../../buffer/buffer';
import { CounterCacheError } from '../../errors';
import { rowsOf } from '../query';
import type { TablePaths } from '../tables';

/** One row to be written to the outbox. */
export interface OutboxDelta {
  readonly shard: number;
  readonly target: string;
  /** `null` when no column is changed. */
  readonly column: string | null;
  /** Units of 10^-scale of the column; within 64 bits. */
  readonly amount: bigint;
  readonly touches: readonly string[];
  /** Milliseconds until it is due. */
  readonly wait: number;
  /** Due at once when the absolute sum of what waits for the column reaches it; 0 is off. */
  readonly batchSize: number;
  readonly recalculateIn: number | null;
  /** Asks for a recalculation of the target, at once. */
  readonly heal: boolean;
}

/** What was written. */
export interface Written {
  readonly ids: readonly string[];
  /** When the rows are due, by the database's clock. */
  readonly alarms: readonly Alarm[];
}

/** About 300 years, ms: times of PostgreSQL end somewhere. */
const LONGEST = 10 ** 13;

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
  if (deltas.length === 0) return { ids: [], alarms: [] };
  const isSummed = deltas.some(({ batchSize }) => batchSize > 0);
  const rows = await rowsOf(runner, insertSql(tables, isSummed), [
    deltas.map(({ shard }) => shard),
    deltas.map(({ target }) => target),
    deltas.map(({ column }) => column),
    deltas.map(({ amount }) => amount.toString()),
    deltas.map(({ touches }) => arrayLiteral(touches)),
    deltas.map(({ wait }) => Math.min(wait, LONGEST)),
    deltas.map(({ batchSize }) => batchSize),
    deltas.map(({ recalculateIn }) => recalculateIn && Math.ceil(Math.min(recalculateIn, LONGEST))),
    deltas.map(({ heal }) => heal),
    window,
    transactionId,
  ]);
  if (rows.length < deltas.length) throw ended();
  const alarms = new Map<string, Alarm>();
  for (const row of rows) {
    const [shard, at, delay] = [Number(row['shard']), Math.round(Number(row['at'])), Number(row['delay'])];
    alarms.set(`${shard} ${at}`, { kind: 'reconcile', shard, at, delay });
  }
  return { ids: rows.map((row) => String(row['id'])), alarms: [...alarms.values()] };
}

/** What is sent behind the end of its transaction changes nothing. */
const isInside = (parameter: string): string => `pg_current_xact_id_if_assigned()::text = ${parameter}`;

function deleteSql({ outbox }: TablePaths): string {
  return `DELETE FROM ${outbox} WHERE "id" = ANY($1::bigint[]) AND ${isInside('$2')}`;
}

/**
 * Planned with every transaction: nothing that is not needed may stand in it. What waits is only added up for counters
 * with a `batchSize`.
 */
function insertSql({ outbox }: TablePaths, isSummed: boolean): string {
  const waiting = `SELECT COALESCE(sum(x."amount"), 0) FROM ${outbox} x
    WHERE x."target" = u.target AND x."column" = u.col AND x."applied_at" IS NULL`;
  const isFull = isSummed
    ? ` OR CASE WHEN u.batch > 0 THEN abs((${waiting}) + u.amount) >= u.batch ELSE false END`
    : '';
  const now = 'extract(epoch FROM statement_timestamp())::double precision * 1000';
  return `
    INSERT INTO ${outbox} AS o ("shard", "target", "column", "amount", "touches", "written_at", "due", "recalculate_in", "heal")
    SELECT u.shard, u.target, u.col, u.amount, u.touches::text[], statement_timestamp(),
      to_timestamp(CASE WHEN u.heal${isFull} THEN floor(${now} / $10) ELSE ceil((${now} + u.wait) / $10) END * $10 / 1000),
      u.recalculate, u.heal
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::double precision[], $7::double precision[], $8::bigint[], $9::boolean[])
      AS u(shard, target, col, amount, touches, wait, batch, recalculate, heal)
    WHERE ${isInside('$11')}
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
function arrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`;
}
