import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
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

/** A row that says that definitions are kept here, and is locked by the process that changes what is known. */
const MARKER = 'definitions';

const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)';

const DEFINITION = 'definition:';

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
  // Rows are locked in one order: processes that meet on them must not wait in a circle.
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
  { state }: TablePaths,
  columns: ReadonlyMap<string, Heartbeats>,
): Promise<void> {
  if (columns.size === 0) return;
  // In one order: processes that meet on rows must not wait in a circle.
  const sorted = [...columns].toSorted(([a], [b]) => (a < b ? -1 : 1));
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value"`,
    [sorted.map(([id]) => DEFINITION + id), sorted.map(([, heartbeats]) => JSON.stringify(heartbeats))],
  );
}
