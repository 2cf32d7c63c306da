import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import type { TablePaths } from './tables';

/** The cursor of a campaign that has not begun; JSON. */
export const START = '{}';

/** Whose targets are recounted: those of shards that lost their data, or those of one target table. */
type CampaignScope = { readonly shards: readonly number[] } | { readonly tableId: string };

/** How far a campaign has come: up to a key of a target table, in the order of their ids. */
export interface CampaignCursor {
  readonly tableId?: string;
  readonly after?: readonly string[];
}

/** Requests the recount of every target in its scope, page by page. Every process may resume it. */
export interface Campaign {
  readonly scope: CampaignScope;
  readonly cursor: CampaignCursor;
}

/** Begins the id of the row of a target table's campaign. */
export const RECOUNT = 'recount:';

/**
 * Starts a campaign for each of these target tables; one that is under way starts over.
 *
 * @throws what the database says of a role that may not write to the table of the state
 */
export async function startCampaigns(
  runner: QueryRunner,
  { state }: TablePaths,
  tableIds: readonly string[],
): Promise<void> {
  if (tableIds.length === 0) return;
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT "id", $2 FROM unnest($1::text[]) AS "k"("id")
     ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value"`,
    [idsOf(tableIds), START],
  );
}

/**
 * The same, for those tables that have none under way: one that starts over with every request would never end.
 *
 * @returns the tables that will be recounted from the first target on
 */
export async function startIdleCampaigns(
  runner: QueryRunner,
  { state }: TablePaths,
  tableIds: readonly string[],
): Promise<ReadonlySet<string>> {
  await runner.query(
    `INSERT INTO ${state} ("id", "value") SELECT "id", $2 FROM unnest($1::text[]) AS "k"("id") ON CONFLICT DO NOTHING`,
    [idsOf(tableIds), START],
  );
  // One that is locked is worked on, and its first page may be listed.
  const rows = await rowsOf(
    runner,
    `SELECT "id" FROM ${state} WHERE "id" = ANY($1::text[]) AND "value" = $2 ORDER BY "id" FOR UPDATE SKIP LOCKED`,
    [idsOf(tableIds), START],
  );
  return new Set(rows.map((row) => String(row['id']).slice(RECOUNT.length)));
}

/** In one order: processes that meet on rows must not wait in a circle. */
function idsOf(tableIds: readonly string[]): string[] {
  return tableIds.map((tableId) => RECOUNT + tableId).toSorted();
}

/** Whether some of these tables have a campaign. */
export async function hasCampaigns(
  runner: QueryRunner,
  { state }: TablePaths,
  tableIds: readonly string[],
): Promise<boolean> {
  return (
    (await rowsOf(runner, `SELECT 1 FROM ${state} WHERE "id" = ANY($1::text[]) LIMIT 1`, [idsOf(tableIds)])).length > 0
  );
}

/** How many campaigns there are, of these tables and of lost shards: not all of their targets are requested yet. */
export async function countCampaigns(
  runner: QueryRunner,
  { state, shard }: TablePaths,
  tableIds: readonly string[],
): Promise<number> {
  const [row] = await rowsOf(
    runner,
    `SELECT (SELECT count(*) FROM ${state} WHERE "id" = ANY($1::text[]))
       + (SELECT count(*) FROM ${shard} WHERE "rebuilding" IS NOT NULL) AS "campaigns"`,
    [idsOf(tableIds)],
  );
  return Number(row?.['campaigns']);
}

/** The next campaign of one of these tables, locked until the transaction ends; `null` when others work on the rest. */
export async function lockCampaign(
  runner: QueryRunner,
  { state }: TablePaths,
  tableIds: readonly string[],
): Promise<Campaign | null> {
  const [row] = await rowsOf(
    runner,
    `SELECT "id", "value" FROM ${state} WHERE "id" = ANY($1::text[]) ORDER BY "id" LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [idsOf(tableIds)],
  );
  if (row === undefined) return null;
  const tableId = String(row['id']).slice(RECOUNT.length);
  return { scope: { tableId }, cursor: { ...cursorOf(row['value']), tableId } };
}

/** The same for lost shards: all that stand at one cursor. */
export async function lockRebuilding(runner: QueryRunner, { shard }: TablePaths): Promise<Campaign | null> {
  const rows = await rowsOf(
    runner,
    `SELECT "shard", "rebuilding" FROM ${shard} WHERE "rebuilding" IS NOT NULL ORDER BY "shard" FOR UPDATE SKIP LOCKED`,
  );
  const [first] = rows;
  if (first === undefined) return null;
  const together = rows.filter((row) => row['rebuilding'] === first['rebuilding']);
  return { scope: { shards: together.map((row) => Number(row['shard'])) }, cursor: cursorOf(first['rebuilding']) };
}

function cursorOf(json: unknown): CampaignCursor {
  return JSON.parse(String(json)) as CampaignCursor;
}

/** Notes how far a campaign has come; `null` is to the end. */
export async function noteProgress(
  runner: QueryRunner,
  { state, shard }: TablePaths,
  scope: CampaignScope,
  cursor: CampaignCursor | null,
): Promise<void> {
  const value = cursor === null ? null : JSON.stringify(cursor);
  if ('shards' in scope)
    await runner.query(`UPDATE ${shard} SET "rebuilding" = $2 WHERE "shard" = ANY($1::integer[])`, [
      scope.shards,
      value,
    ]);
  else if (value === null) await runner.query(`DELETE FROM ${state} WHERE "id" = $1`, [RECOUNT + scope.tableId]);
  else await runner.query(`UPDATE ${state} SET "value" = $2 WHERE "id" = $1`, [RECOUNT + scope.tableId, value]);
}
