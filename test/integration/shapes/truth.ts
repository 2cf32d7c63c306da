import type { EntityTarget, ObjectLiteral } from 'typeorm';

import { type Fixture, setup, type SetupOptions } from '../../support/setup';

/** PostgreSQL 18 returns old rows; before, updates lock and read them. Both paths run on the server there is. */
export const VERSIONS = ['18', '17.0'] as const;

/** A target table and, per counter column, an SQL expression that counts it from nothing: `t` is the target's row. */
export interface Truth {
  /** As written in SQL. */
  readonly table: string;
  /** Column as written in SQL → expression. */
  readonly columns: Readonly<Record<string, string>>;
}

/** A fixture for one schema. */
export function setupShape(options: SetupOptions): Promise<Fixture> {
  // Every flush visits every shard.
  return setup({ ...options, counters: { shards: 2, ...options.counters } });
}

/** From now on writes take the path of a PostgreSQL version. */
export function answerAs({ dataSource }: Fixture, version: string): void {
  (dataSource.driver as { version?: string }).version = version;
}

/** Deletes all rows, and what is pending after a test that failed. */
export async function clear(
  { dataSource, counters, errors }: Fixture,
  entities: readonly EntityTarget<ObjectLiteral>[],
): Promise<void> {
  for (const entity of entities) {
    const { tablePath } = dataSource.getMetadata(entity);
    const table = tablePath.split('.').map((name) => dataSource.driver.escape(name));
    await dataSource.query(`DELETE FROM ${table.join('.')}`);
  }
  await counters.flush();
  errors.splice(0);
}

/** Expects columns to be the truth once what is pending is applied, without any recount. */
export async function expectRight({ dataSource, counters, errors }: Fixture, truths: readonly Truth[]): Promise<void> {
  await counters.flush();
  for (const truth of truths) {
    const rows: { id: string; got: string[]; right: string[] }[] = await dataSource.query(sqlOf(truth));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ id, got }) => [id, ...got])).toEqual(rows.map(({ id, right }) => [id, ...right]));
  }
  expect(errors).toEqual([]);
}

/** Expects recounts of everything to agree with live maintenance, and nothing to be left behind. */
export async function expectAgreed({ counters, errors }: Fixture): Promise<void> {
  await counters.flush();
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, fixed: [], unsettled: [] });
  expect(await counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0, failed: [] });
  expect(errors).toEqual([]);
}

/** Breaks every column behind the library's back, and expects recounts to find and to mend all of them. */
export async function expectMended(fixture: Fixture, truths: readonly Truth[]): Promise<void> {
  await expectRight(fixture, truths);
  await expectAgreed(fixture);
  const { dataSource, counters } = fixture;
  let broken = 0;
  for (const { table, columns } of truths) {
    for (const column of Object.keys(columns)) {
      const sql = `UPDATE ${table} SET ${column} = COALESCE(${column}, 0) + 7`;
      const [, count] = await dataSource.query<[unknown, number]>(sql);
      broken += count;
    }
  }
  expect(broken).toBeGreaterThan(0);
  expect(await counters.verify()).toMatchObject({ fixedCount: broken });
  expect(await counters.recalculate()).toMatchObject({ fixedCount: broken });
  await expectRight(fixture, truths);
}

function sqlOf({ table, columns }: Truth): string {
  const got = Object.keys(columns).map((column) => `t.${column}::text`);
  const right = Object.values(columns).map((expression) => `(${expression})::text`);
  return `SELECT t::text AS id, ARRAY[${got.join(', ')}] AS got, ARRAY[${right.join(', ')}] AS right FROM ${table} t`;
}
