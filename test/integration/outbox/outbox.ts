import type { Fixture } from '../../support/setup';
import { until } from '../../support/until';
import { TRUTH } from '../blog';

/** Rows of the outbox that are not applied. */
export async function waitingRows({ dataSource }: Pick<Fixture, 'dataSource'>): Promise<number> {
  const rows: { n: number }[] = await dataSource.query(
    'SELECT count(*)::int AS n FROM counter_cache_outbox WHERE applied_at IS NULL',
  );
  return rows[0]?.n ?? -1;
}

/** Authors whose columns are not what SQL counts. */
export async function wrongAuthors({ dataSource }: Pick<Fixture, 'dataSource'>): Promise<unknown[]> {
  const rows: Record<string, number>[] = await dataSource.query(TRUTH);
  return rows.filter(
    (row) =>
      row['postsCount'] !== row['posts'] ||
      row['publishedCount'] !== row['published'] ||
      row['likesSum'] !== row['likes'],
  );
}

/** Has a trigger do something to every row that is inserted into a table. */
export async function onInsert(
  { dataSource }: Pick<Fixture, 'dataSource'>,
  when: 'BEFORE' | 'AFTER',
  table: string,
  body: string,
): Promise<void> {
  await dataSource.query(`CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`);
  await dataSource.query(
    `CREATE TRIGGER on_insert ${when} INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION on_insert()`,
  );
}

/** With a worker running, until nothing waits. */
export async function untilDrained({ counters }: Fixture): Promise<void> {
  await counters.settled();
  await until(async () => {
    const { dirty, batches } = await counters.status();
    return dirty + batches === 0;
  });
}
