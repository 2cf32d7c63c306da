import type { DataSource } from 'typeorm';

/** How many statements in the database of a DataSource are in `pg_sleep`. */
export async function asleep(dataSource: DataSource): Promise<number> {
  const sql = `SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`;
  const rows: unknown[] = await dataSource.query(sql);
  return rows.length;
}
