import { once } from 'node:events';
import { join } from 'node:path';

import { startChild } from '../support/child';
import { redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { describeVersions } from '../support/versions';
import { Depot, Parcel } from './depot';
import type { Figures } from './long-update-program';

const DEPOTS = 1_000;
const ROWS = 200_000;

describeVersions('a statement whose answer is long', (server) => {
  describe('is recorded while it comes', () => {
    let fixture: Fixture;
    beforeAll(async () => {
      fixture = await setup({ entities: [Depot, Parcel], server: server(), dataSource: { poolSize: 3 } });
      await fixture.dataSource.query(`INSERT INTO depot (id) SELECT generate_series(1, ${DEPOTS})`);
    });
    afterAll(() => fixture.close());
    beforeEach(async () => {
      await fixture.dataSource.query('DELETE FROM parcel');
      await fixture.dataSource.query(
        `INSERT INTO parcel (id, weight, "depotId") SELECT i, i % 7, 1 + i % ${DEPOTS} FROM generate_series(1, 5000) i`,
      );
      await fixture.dataSource.query(
        `UPDATE depot d SET total = (SELECT COALESCE(sum(weight), 0) FROM parcel WHERE "depotId" = d.id),
           open = (SELECT count(*) FROM parcel WHERE "depotId" = d.id AND NOT closed)`,
      );
    });
    afterEach(async () => {
      await fixture.counters.flush();
      const wrong = await fixture.dataSource.query<unknown[]>(
        `SELECT d.* FROM depot d WHERE total <> (SELECT COALESCE(sum(weight), 0) FROM parcel WHERE "depotId" = d.id)
           OR open <> (SELECT count(*) FROM parcel WHERE "depotId" = d.id AND NOT closed)`,
      );
      expect(wrong).toEqual([]);
    });

    const builder = () => fixture.dataSource.createQueryBuilder();

    test('an update', async () => {
      const { affected, raw } = (await builder()
        .update(Parcel)
        .set({ weight: () => 'weight + id % 3', closed: () => 'id % 2 = 0' })
        .execute()) as { affected?: number; raw: unknown };
      expect(affected).toBe(5_000);
      expect(raw).toEqual([]);
    });

    test('an update that returns something to its caller', async () => {
      const update = builder()
        .update(Parcel)
        .set({ weight: () => 'weight + 1' })
        .returning('id, weight');
      const { raw } = (await update.execute()) as { raw: Record<string, number>[] };
      expect(raw).toHaveLength(5_000);
      for (const row of raw) expect(Object.keys(row)).toEqual(['id', 'weight']);
      expect(new Set(raw.map(({ id }) => id)).size).toBe(5_000);
    });

    test('a delete, and an insert from a query', async () => {
      await fixture.dataSource.transaction(async (manager) => {
        await manager.createQueryBuilder().delete().from(Parcel).execute();
        const numbers = '(SELECT generate_series(1, 3000) AS n)';
        const source = manager.createQueryBuilder().from(numbers, 'g').select('g.n').addSelect('g.n % 5');
        source.addSelect('false').addSelect(`1 + g.n % ${DEPOTS}`);
        const insert = manager.createQueryBuilder().insert().into(Parcel, ['id', 'weight', 'closed', 'depotId']);
        await (insert as unknown as { valuesFromSelect(from: unknown): typeof insert })
          .valuesFromSelect(source)
          .execute();
      });
      expect(await fixture.dataSource.manager.count(Parcel)).toBe(3_000);
    });

    test('many rows inserted at once', async () => {
      const rows = Array.from({ length: 2_000 }, (_, i) => ({ id: 10_000 + i, weight: i % 4, depotId: 1 + (i % 9) }));
      await fixture.dataSource.manager.insert(Parcel, rows);
      expect(await fixture.dataSource.manager.count(Parcel)).toBe(7_000);
    });

    test('nothing of one that fails at the end', async () => {
      await fixture.dataSource.query('ALTER TABLE parcel ADD CONSTRAINT heavy CHECK (weight < 1000 OR id < 5000)');
      const update = builder()
        .update(Parcel)
        .set({ weight: () => 'weight + id' });
      await expect(update.execute()).rejects.toThrow('heavy');
      await fixture.dataSource.query('ALTER TABLE parcel DROP CONSTRAINT heavy');
    });

    test('nothing of a savepoint that is rolled back', async () => {
      await fixture.dataSource.transaction(async (manager) => {
        await manager.update(Parcel, { closed: false }, { weight: 2 });
        const inner = manager.transaction(async (nested) => {
          await nested.update(Parcel, { closed: false }, { weight: 3 });
          throw new Error('back');
        });
        await expect(inner).rejects.toThrow('back');
      });
    });

    test('one that cannot be counted is refused, as a whole', async () => {
      const update = builder()
        .update(Parcel)
        .set({ weight: () => 'CASE WHEN id = 100 THEN -1 ELSE weight END' });
      await expect(update.execute()).rejects.toMatchObject({ code: 'BAD_AMOUNT' });
      expect(await fixture.dataSource.manager.countBy(Parcel, { weight: -1 })).toBe(0);
    });
  });
});

async function figuresOf(env: NodeJS.ProcessEnv): Promise<Figures> {
  const child = startChild(join(__dirname, 'long-update-program.ts'), env);
  const [figures] = (await once(child, 'message')) as [Figures];
  await once(child, 'exit');
  return figures;
}

test(`an update of ${ROWS} rows leaves the event loop free, and little in memory`, async () => {
  const fixture = await setup({ entities: [Depot, Parcel] });
  try {
    const { dataSource, counters } = fixture;
    await dataSource.query(`INSERT INTO depot (id) SELECT generate_series(1, ${DEPOTS})`);
    await dataSource.query(
      `INSERT INTO parcel (id, weight, "depotId") SELECT i, i % 7, 1 + i % ${DEPOTS} FROM generate_series(1, ${ROWS}) i`,
    );
    const recount = `UPDATE depot d SET total = p.total, open = p.open FROM (
      SELECT "depotId", sum(weight) AS total, count(*) FILTER (WHERE NOT closed) AS open FROM parcel GROUP BY 1) p
      WHERE p."depotId" = d.id`;
    const env = { PROGRAM_DATABASE: fixture.databaseUrl };
    const plain = await figuresOf(env);
    await dataSource.query(recount);
    const counted = await figuresOf({ ...env, PROGRAM_REDIS: redisUrl() });
    await counters.flush();
    const [row] = await dataSource.query<Record<string, string>[]>(
      `SELECT sum(total)::text AS total, sum(open)::text AS open, (SELECT sum(weight)::text FROM parcel) AS weight,
         (SELECT count(*) FILTER (WHERE NOT closed)::text FROM parcel) AS count FROM depot`,
    );
    expect(row).toMatchObject({ total: row?.['weight'], open: row?.['count'] });
    // By processor time: what others on the machine do does not count.
    expect(counted.task).toBeLessThan(100);
    expect(counted.memory - plain.memory).toBeLessThan(60 * 2 ** 20);
  } finally {
    await fixture.close();
  }
}, 180_000);
