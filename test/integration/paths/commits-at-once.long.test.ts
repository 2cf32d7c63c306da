import type { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Category, Product, Review, SHOP, WRONG } from './shop';

const POOL = 20;

describeVersions('COMMITs at once under REPEATABLE READ', (server) => {
  describe(`of a user who may have ${POOL + 5} connections`, () => {
    let fixture: Fixture;
    let dataSource: DataSource;
    let counters: Counters;
    const role = `cc_limited_${process.pid}`;

    beforeAll(async () => {
      fixture = await setup({ entities: SHOP, server: server(), dataSource: { poolSize: 3 } });
      await fixture.dataSource.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited' CONNECTION LIMIT ${POOL + 5}`);
      await fixture.dataSource.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
      await fixture.dataSource.query(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`);
      const url = new URL(fixture.databaseUrl);
      url.username = role;
      url.password = 'limited';
      dataSource = newDataSource(url.href, SHOP, { synchronize: false, poolSize: POOL });
      counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
      await dataSource.initialize();
    });
    afterAll(async () => {
      await counters.close();
      await dataSource.destroy();
      await until(async () => (await connections()).length === 0);
      await fixture.dataSource.query(`DROP OWNED BY ${role}`);
      await fixture.dataSource.query(`DROP ROLE ${role}`);
      await fixture.close();
    });

    async function connections(): Promise<number[]> {
      const rows = await fixture.dataSource.query<{ pid: number }[]>(
        'SELECT pid FROM pg_stat_activity WHERE usename = $1 ORDER BY backend_start DESC',
        [role],
      );
      return rows.map(({ pid }) => pid);
    }

    test('all go through, with one connection beside the pool', async () => {
      const category = await dataSource.manager.save(new Category());
      const product = await dataSource.manager.save(Product, { categoryId: category.id });
      for (let round = 0; round < 3; round++) {
        const runners = Array.from({ length: POOL }, () => dataSource.createQueryRunner());
        for (const runner of runners) {
          await runner.startTransaction('REPEATABLE READ');
          await runner.manager.insert(Review, { product });
        }
        const outcomes = await Promise.allSettled(runners.map((runner) => runner.commitTransaction()));
        expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
        expect((await connections()).length).toBe(POOL + 1);
        for (const runner of runners) await runner.release();
      }
      await counters.flush();
      expect(await fixture.dataSource.query(WRONG)).toEqual([]);
      expect(await dataSource.manager.findOneByOrFail(Category, { id: category.id })).toMatchObject({
        reviewsCount: 60,
      });
    });
  });
});
