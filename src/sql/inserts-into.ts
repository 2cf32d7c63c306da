import type { QueryRunner } from 'typeorm';

import { rowsOf } from './query';

/** What a database does to rows that are inserted into a table. */
export interface Inserts {
  /** A table like any other: no view, no partitions, no rules. */
  readonly isOrdinary: boolean;
  /** A trigger may make another row of one that is inserted, or none. */
  readonly isAltered: boolean;
}

/** Bits of `pg_trigger.tgtype`: for each row, on INSERT, before it. */
const [ROW, INSERT, BEFORE] = [1, 4, 2];

/** Looks a table up in PostgreSQL's catalogue. */
export async function insertsInto(runner: QueryRunner, table: string): Promise<Inserts> {
  const [row] = await rowsOf(
    runner,
    `SELECT c.relkind = 'r' AND NOT c.relhasrules AS ordinary,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled <> 'D' AND t.tgtype & ${ROW} <> 0
         AND t.tgtype & ${INSERT} <> 0 AND t.tgtype & ${BEFORE} <> 0) AS altered
     FROM pg_class c WHERE c.oid = to_regclass($1)`,
    [table],
  );
  return { isOrdinary: row?.['ordinary'] === true, isAltered: row?.['altered'] !== false };
}
