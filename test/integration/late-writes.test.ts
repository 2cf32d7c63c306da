import { type DataSource, type QueryRunner } from 'typeorm';
import { Counters, counterCacheEntities } from 'typeorm-counter-cache';

import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';

const WRONG = `SELECT a.name, a."postsCount", count(p.id)::int AS truth FROM author a LEFT JOIN post p ON p."authorId" = a.id
  GROUP BY a.id HAVING a."postsCount" <> count(p.id)`;

/** A transaction that has written this table takes a while to commit. */
const SLOW = `
  CREATE TABLE slow (n int);
  CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()`;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  let fixture: Fixture;
  let other: DataSource;
  let otherCounters: Counters;
  let runner: QueryRunner;
  let holder: QueryRunner;

  beforeAll(async () => {
    fixture = await setup({ entities: [Author, Post] });
    (fixture.dataSource.driver as { version?: string }).version = version;
    await fixture.dataSource.query(SLOW);
    // Its updates are one statement, whatever path is tested.
    other = newDataSource(fixture.databaseUrl, [Author, Post, ...counterCacheEntities], { synchronize: false });
    await other.initialize();
    otherCounters = await Counters.attach(other, { redis: redisUrl(), ...TEST_OPTIONS });
    runner = fixture.dataSource.createQueryRunner();
    holder = fixture.dataSource.createQueryRunner();
  });
  afterAll(async () => {
    await Promise.all([runner.release(), holder.release()]);
    await otherCounters.close();
    await other.destroy();
    await fixture.close();
  });

  const backends = async (condition: string): Promise<number> => {
    const sql = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND ${condition}`;
    const rows: unknown[] = await fixture.dataSource.query(sql);
    return rows.length;
  };
  const waiting = (count: number) => until(async () => (await backends(`wait_event_type = 'Lock'`)) === count);

  test('a write begun while COMMIT is under way, and another of the same row', async () => {
    const { manager } = fixture.dataSource;
    const author = (name: string): Promise<Author> => manager.save(manager.create(Author, { name }));
    const [ann, bob, carl] = [await author('ann'), await author('bob'), await author('carl')];
    const { id } = await manager.save(manager.create(Post, { authorId: ann.id }));
    await runner.startTransaction();
    await runner.query('INSERT INTO slow VALUES (1)');
    const commit = runner.commitTransaction();
    await until(async () => (await backends(`wait_event = 'PgSleep'`)) === 1);
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM post WHERE id = $1 FOR UPDATE', [id]);
    const late = runner.manager.update(Post, { id }, { authorId: bob.id });
    await commit;
    await waiting(1);
    const moved = other.manager.update(Post, { id }, { authorId: carl.id });
    await waiting(2);
    await holder.query('COMMIT');
    await Promise.all([late, moved]);
    await otherCounters.settled();
    await fixture.counters.settled();
    await fixture.counters.flush();
    expect(await manager.query(WRONG)).toEqual([]);
  });
});
