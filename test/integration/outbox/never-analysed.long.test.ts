import { shardOf } from '../../../src/model/shard';
import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { Author, Post } from '../blog';
import { waitingRows, wrongAuthors } from './outbox';

/** What 100,000 targets may take on a machine that does nothing else is 20 s; other tests run beside this one. */
const LIMIT = 60_000;

describeVersions('targets that wait in an outbox which was never analysed', (server) => {
  test.each([
    [100_000, 16],
    [30_000, 1],
  ])(
    'are drained in time proportional to their number: %i in %i shards',
    async (count, shards) => {
      const fixture: Fixture = await setup({
        entities: [Author, Post],
        server: server(),
        counters: { mode: 'outbox', wait: 600_000, shards, sweepInterval: 600_000 },
      });
      const { dataSource, counters } = fixture;
      await dataSource.query('ALTER TABLE counter_cache_outbox SET (autovacuum_enabled = off)');
      await dataSource.query('ALTER TABLE author SET (autovacuum_enabled = off)');
      await dataSource.query(`INSERT INTO author (name, version) SELECT 'a', 1 FROM generate_series(1, ${count})`);
      await dataSource.query('INSERT INTO post ("authorId", likes, published) SELECT id, 2, true FROM author');
      const ids: { id: number }[] = await dataSource.query('SELECT id FROM author ORDER BY id');
      const targets = ids.map(({ id }) => `author:id:${id}`);
      await dataSource.query(
        `INSERT INTO counter_cache_outbox (shard, target, "column", amount, touches, written_at, due, recalculate_in, repair)
       SELECT u.shard, u.target, 'postsCount', 1, '{}', now(), now(), null, false FROM unnest($1::int[], $2::text[]) AS u(shard, target)`,
        [targets.map((target) => shardOf(target, shards)), targets],
      );
      await dataSource.query('UPDATE author SET "publishedCount" = 1, "likesSum" = 2');
      const since = performance.now();
      const report = await counters.flush();
      const elapsed = performance.now() - since;
      expect(report).toMatchObject({ targets: count, unapplied: 0 });
      expect(elapsed).toBeLessThan(LIMIT);
      expect(await waitingRows(fixture)).toBe(0);
      expect(await wrongAuthors(fixture)).toEqual([]);
      await fixture.close();
    },
    300_000,
  );
});
