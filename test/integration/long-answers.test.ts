import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { describeVersions } from '../support/versions';

@Entity()
class Depot {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) total!: number;
  @Column({ default: 0 }) open!: number;
}

@Entity()
@CounterCache<Parcel, Depot>({ relation: 'depot', column: 'total', incrementBy: 'weight' })
@CounterCache<Parcel, Depot>({
  relation: 'depot',
  column: 'open',
  where: { closed: false },
  incrementBy: ({ weight }) => {
    if (weight < 0) throw new Error('a parcel weighs something');
    return 1;
  },
})
class Parcel {
  @PrimaryColumn() id!: number;
  @Column() weight!: number;
  @Column({ default: false }) closed!: boolean;
  @Column() depotId!: number;
  @ManyToOne(() => Depot) @JoinColumn({ name: 'depotId' }) depot!: Relation<Depot>;
}

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

/** Tasks of the event loop are measured by processor time: others on the machine do not count. */
test(`an update of ${ROWS} rows leaves the event loop free, and little in memory`, async () => {
  const fixture = await setup({ entities: [Depot, Parcel] });
  try {
    const { dataSource, counters } = fixture;
    await dataSource.query(`INSERT INTO depot (id) SELECT generate_series(1, ${DEPOTS})`);
    await dataSource.query(
      `INSERT INTO parcel (id, weight, "depotId") SELECT i, i % 7, 1 + i % ${DEPOTS} FROM generate_series(1, ${ROWS}) i`,
    );
    await dataSource.query(
      `UPDATE depot d SET total = p.total, open = p.open FROM (
         SELECT "depotId", sum(weight) AS total, count(*) AS open FROM parcel GROUP BY 1) p WHERE p."depotId" = d.id`,
    );
    // What a process needs for the first of them is not what each of them needs.
    await dataSource.createQueryBuilder().update(Parcel).set({ weight: 5 }).where('id <= 20000').execute();
    await counters.flush();
    const { longest, memory } = await watching(() =>
      dataSource
        .createQueryBuilder()
        .update(Parcel)
        .set({ weight: () => 'weight + id % 3', closed: true })
        .execute(),
    );
    await counters.flush();
    const [row] = await dataSource.query<Record<string, string>[]>(
      'SELECT sum(total)::text AS total, sum(open)::text AS open, (SELECT sum(weight)::text FROM parcel) AS truth FROM depot',
    );
    expect(row).toEqual({ total: row?.['truth'], open: '0', truth: row?.['truth'] });
    // DESIGN: 100 ms and 60 MiB; the first leaves room for a slow machine.
    expect(longest).toBeLessThan(200);
    expect(memory).toBeLessThan(60 * 2 ** 20);
  } finally {
    await fixture.close();
  }
}, 180_000);

/** The longest task of the event loop, ms of processor time, and by how many bytes the process grew at the most. */
async function watching(work: () => Promise<unknown>): Promise<{ longest: number; memory: number }> {
  const { rss } = process.memoryUsage();
  let longest = 0;
  let memory = 0;
  let last = process.cpuUsage();
  let isOver = false;
  const look = (): void => {
    const { user, system } = process.cpuUsage(last);
    longest = Math.max(longest, (user + system) / 1_000);
    memory = Math.max(memory, process.memoryUsage().rss - rss);
    last = process.cpuUsage();
    if (!isOver) setTimeout(look, 2);
  };
  look();
  await work();
  isOver = true;
  return { longest, memory };
}
