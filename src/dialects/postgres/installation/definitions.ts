import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import { START } from './rebuilding';
import type { TablePaths } from './tables';

/** One definition of a column, as processes that declare it were seen. Times are the database's, ms. */
export interface Heartbeat {
  readonly first: number;
  readonly seen: number;
  /** Milliseconds between two signs of such a process. */
  readonly interval: number;
  /** When a recount by this definition was requested last; `null` never. */
  readonly counted: number | null;
  /** Paths of the tables that it counts rows of. */
  readonly sources: readonly string[];
}

/** Every definition that a column had, by fingerprint. */
export type Heartbeats = Readonly<Record<string, Heartbeat>>;

/** What is known of all columns, by the id of their row. */
export interface KnownDefinitions {
  readonly columns: ReadonlyMap<string, Heartbeats>;
  /** The database's clock, ms. */
  readonly now: number;
}

/** A row that says that definitions are kept here, and is locked by whoever changes what is known. */
const MARKER = 'definitions';

const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)';

const DEFINITION = 'definition:';
/** Rows that say that the targets of a kind are to be recounted. */
export const RECOUNT = 'recount:';

/** Reads what is known of all columns. */
export async function readDefinitions(runner: QueryRunner, tables: TablePaths): Promise<KnownDefinitions> {
  const rows = await rowsOf(
    runner,
    `SELECT "s"."id", "s"."value", ${NOW} AS "now"
     FROM (SELECT 1) AS "one" LEFT JOIN ${tables.state} AS "s" ON starts_with("s"."id", '${DEFINITION}')`,
  );
  const found = rows.filter((row) => row['id'] !== null);
  return {
    columns: new Map(
      found.map((row) => [String(row['id']).slice(DEFINITION.length), JSON.parse(String(row['value'])) as Heartbeats]),
    ),
    now: Number(rows[0]?.['now']),
  };
}

/** Notes that definitions were seen again: column → fingerprint. */
export async function refreshHeartbeats(
  runner: QueryRunner,
  { state }: TablePaths,
  seen: ReadonlyMap<string, string>,
): Promise<void> {
  // Rows are locked in one order: whoever meets on them must not wait in a circle.
  await runner.query(
    `WITH "seen" AS MATERIALIZED (
       SELECT "s"."id", "f"."fingerprint" FROM ${state} AS "s"
       JOIN unnest($1::text[], $2::text[]) AS "f"("id", "fingerprint") ON "f"."id" = "s"."id"
       ORDER BY "s"."id" COLLATE "C" FOR UPDATE OF "s"
     )
     UPDATE ${state} AS "s" SET "value" =
       jsonb_set("s"."value"::jsonb, ARRAY["seen"."fingerprint", 'seen'], to_jsonb(${NOW}), false)::text
     FROM "seen" WHERE "seen"."id" = "s"."id"`,
    [[...seen.keys()].map((id) => DEFINITION + id), [...seen.values()]],
  );
}

/**
 * Keeps others from changing what is known until the transaction ends.
 *
 * @returns whether definitions were never kept in this installation
 */
export async function lockDefinitions(runner: QueryRunner, tables: TablePaths): Promise<boolean> {
  const insert = `INSERT INTO ${tables.state} ("id", "value") VALUES ('${MARKER}', '1') ON CONFLICT DO NOTHING`;
  const inserted = await rowsOf(runner, `${insert} RETURNING "id"`);
  await runner.query(`SELECT 1 FROM ${tables.state} WHERE "id" = '${MARKER}' FOR UPDATE`);
  // Now that rows are not added any more, those that may be refreshed.
  await runner.query(
    `SELECT 1 FROM ${tables.state} WHERE starts_with("id", '${DEFINITION}') ORDER BY "id" COLLATE "C" FOR UPDATE`,
  );
  return inserted.length > 0;
}

/** Replaces what is known of some columns. */
export async function writeDefinitions(
  runner: QueryRunner,
  tables: TablePaths,
  columns: ReadonlyMap<string, Heartbeats>,
): Promise<void> {
  const rows = [...columns].map(([id, heartbeats]) => [DEFINITION + id, JSON.stringify(heartbeats)] as const);
  await upsert(runner, tables, rows);
}

/** Notes that every target of these kinds is to be recounted, from the first on. */
export async function noteRecounts(runner: QueryRunner, tables: TablePaths, kinds: readonly string[]): Promise<void> {
  await upsert(
    runner,
    tables,
    kinds.map((kind) => [RECOUNT + kind, START]),
  );
}

/**
 * The same, for those kinds of which no recount is under way: one that has begun would never end if it began again with
 * every note.
 *
 * @returns the kinds that will be recounted from the first target on
 */
export async function noteIdleRecounts(
  runner: QueryRunner,
  { state }: TablePaths,
  kinds: readonly string[],
): Promise<ReadonlySet<string>> {
  const ids = kinds.map((kind) => RECOUNT + kind).toSorted();
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT "id", $2 FROM unnest($1::text[]) AS "k"("id") ON CONFLICT DO NOTHING`,
    [ids, START],
  );
  // One that is locked is worked on, and its first page may be listed.
  const rows = await rowsOf(
    runner,
    `SELECT "id" FROM ${state} WHERE "id" = ANY($1::text[]) AND "value" = $2 ORDER BY "id" FOR UPDATE SKIP LOCKED`,
    [ids, START],
  );
  return new Set(rows.map((row) => String(row['id']).slice(RECOUNT.length)));
}

async function upsert(
  runner: QueryRunner,
  { state }: TablePaths,
  rows: readonly (readonly [id: string, value: string])[],
): Promise<void> {
  if (rows.length === 0) return;
  // In one order: whoever meets on rows must not wait in a circle.
  const sorted = rows.toSorted(([a], [b]) => (a < b ? -1 : 1));
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value"`,
    [sorted.map(([id]) => id), sorted.map(([, value]) => value)],
  );
}

/** How far the recounts of a kind's targets have been requested: up to a key; `null` is not begun. */
export interface NotedRecount {
  readonly kind: string;
  readonly after: readonly string[] | null;
}

/** Whether recounts of some of these kinds are noted. */
export async function hasRecounts(runner: QueryRunner, tables: TablePaths, kinds: readonly string[]): Promise<boolean> {
  const sql = `SELECT 1 FROM ${tables.state} WHERE "id" = ANY($1::text[]) LIMIT 1`;
  return (await rowsOf(runner, sql, [kinds.map((kind) => RECOUNT + kind)])).length > 0;
}

/** One of these kinds to go on with, locked until the transaction ends; those that others work on are passed over. */
export async function lockRecount(
  runner: QueryRunner,
  tables: TablePaths,
  kinds: readonly string[],
): Promise<NotedRecount | null> {
  const [row] = await rowsOf(
    runner,
    `SELECT "id", "value" FROM ${tables.state} WHERE "id" = ANY($1::text[]) ORDER BY "id" LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [kinds.map((kind) => RECOUNT + kind)],
  );
  if (row === undefined) return null;
  const { after = null } = JSON.parse(String(row['value'])) as { after?: readonly string[] };
  return { kind: String(row['id']).slice(RECOUNT.length), after };
}

/** Notes how far a kind has come; `null` is to the end. */
export async function noteRecount(
  runner: QueryRunner,
  { state }: TablePaths,
  kind: string,
  after: readonly string[] | null,
): Promise<void> {
  const id = RECOUNT + kind;
  if (after === null) await runner.query(`DELETE FROM ${state} WHERE "id" = $1`, [id]);
  else await runner.query(`UPDATE ${state} SET "value" = $2 WHERE "id" = $1`, [id, JSON.stringify({ after })]);
}
