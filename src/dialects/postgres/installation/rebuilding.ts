import type { QueryRunner } from 'typeorm';

import { rowsOf } from '../query';
import type { TablePaths } from './tables';

/** The cursor of a rebuilding that has not begun; JSON. */
export const START = '{}';

/** How far the recounts of lost shards are requested: up to a key of a kind, in the order of kinds. */
export interface RebuildCursor {
  readonly kind?: string;
  readonly after?: readonly string[];
}

/** Shards that are rebuilt from one cursor. */
export interface Rebuilding {
  readonly shards: readonly number[];
  readonly cursor: RebuildCursor;
}

/**
 * Shards to go on with, which all stand at one cursor, locked until the transaction ends; those that another process
 * works on are passed over. `null` when there are none.
 */
export async function lockRebuilding(runner: QueryRunner, tables: TablePaths): Promise<Rebuilding | null> {
  const rows = await rowsOf(
    runner,
    `SELECT "shard", "rebuilding" FROM ${tables.shard} WHERE "rebuilding" IS NOT NULL ORDER BY "shard" FOR UPDATE SKIP LOCKED`,
  );
  const [first] = rows;
  if (first === undefined) return null;
  const shards = rows.filter((row) => row['rebuilding'] === first['rebuilding']).map((row) => Number(row['shard']));
  return { shards, cursor: JSON.parse(String(first['rebuilding'])) as RebuildCursor };
}

/** Notes how far shards have come; `null` is to the end. */
export async function noteRebuilding(
  runner: QueryRunner,
  tables: TablePaths,
  shards: readonly number[],
  cursor: RebuildCursor | null,
): Promise<void> {
  await runner.query(`UPDATE ${tables.shard} SET "rebuilding" = $2 WHERE "shard" = ANY($1::integer[])`, [
    shards,
    cursor === null ? null : JSON.stringify(cursor),
  ]);
}
