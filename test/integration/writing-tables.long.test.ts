import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { describeVersions } from '../support/versions';

@Entity()
class Shop {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) total!: number;
}

@Entity()
class Invoice {
  @PrimaryColumn() id!: number;
  @Column({ default: false }) old!: boolean;
}

/** Goes, or follows, with its invoice. */
@Entity()
@CounterCache<Position, Shop>({ relation: 'shop', column: 'total', incrementBy: 'price' })
class Position {
  @PrimaryColumn() id!: number;
  @Column() price!: number;
  @Column() invoiceId!: number;
  @ManyToOne(() => Invoice, { onDelete: 'CASCADE', onUpdate: 'CASCADE' })
  @JoinColumn({ name: 'invoiceId' })
  invoice!: Relation<Invoice>;
  @Column() shopId!: number;
  @ManyToOne(() => Shop) @JoinColumn({ name: 'shopId' }) shop!: Relation<Shop>;
}

describeVersions('common table expressions that write', (server) => {
  describe('run once', () => {
    let fixture: Fixture;
    beforeAll(async () => {
      fixture = await setup({ entities: [Shop, Invoice, Position], server: server() });
      await fixture.dataSource.query('CREATE TABLE archive (id int)');
    });
    afterAll(() => fixture.close());
    beforeEach(async () => {
      const { dataSource } = fixture;
      await dataSource.createQueryBuilder().delete().from(Invoice).execute();
      await dataSource.query('DELETE FROM archive');
      await dataSource.manager.upsert(Shop, [{ id: 1 }, { id: 2 }], ['id']);
      await dataSource.manager.insert(Invoice, [{ id: 1, old: true }, { id: 2 }, { id: 3, old: true }]);
      const positions = [1, 2, 3].map((id) => ({ id, price: id, invoiceId: id, shopId: 1 }));
      await dataSource.manager.insert(Position, positions);
    });
    afterEach(async () => {
      const { counters, dataSource } = fixture;
      await counters.flush();
      const rows = await dataSource.query<Record<string, number>[]>(
        'SELECT s.total, COALESCE(sum(p.price), 0)::int AS truth FROM shop s LEFT JOIN position p ON p."shopId" = s.id GROUP BY s.id',
      );
      for (const { total, truth } of rows) expect(total).toBe(truth);
    });

    async function archived(): Promise<number[]> {
      const rows = await fixture.dataSource.query<{ id: number }[]>('SELECT id FROM archive ORDER BY id');
      return rows.map(({ id }) => id);
    }

    const ARCHIVE = 'INSERT INTO archive SELECT id FROM public.invoice WHERE old RETURNING id';

    test.each([
      ['that its condition looks at', 'id IN (SELECT id FROM moved)'],
      ['that its condition does not look at', 'old'],
    ])('a DELETE that spreads, %s', async (_, condition) => {
      const builder = fixture.dataSource.createQueryBuilder().delete().from(Invoice);
      const { affected } = await builder.addCommonTableExpression(ARCHIVE, 'moved').where(condition).execute();
      expect(affected).toBe(2);
      expect(await archived()).toEqual([1, 3]);
      expect(await fixture.dataSource.manager.countBy(Position, {})).toBe(1);
    });

    test('a DELETE of nothing', async () => {
      const builder = fixture.dataSource.createQueryBuilder().delete().from(Invoice);
      await builder.addCommonTableExpression(ARCHIVE, 'moved').where('id = 7').execute();
      expect(await archived()).toEqual([1, 3]);
    });

    test('a DELETE whose expression is a builder, inside a transaction', async () => {
      await fixture.dataSource.transaction(async (manager) => {
        const update = manager.createQueryBuilder().update(Shop).set({ id: 9 }).where('id = 2').returning('id');
        const builder = manager.createQueryBuilder().delete().from(Invoice);
        await builder.addCommonTableExpression(update, 'renamed').where('old').execute();
      });
      expect(await fixture.dataSource.manager.countBy(Shop, { id: 9 })).toBe(1);
      await fixture.dataSource.manager.delete(Shop, { id: 9 });
    });

    test('an UPDATE of a counted row', async () => {
      const builder = fixture.dataSource
        .createQueryBuilder()
        .update(Position)
        .set({ price: () => 'price * 10' });
      await builder.addCommonTableExpression(ARCHIVE, 'moved').where('"invoiceId" IN (SELECT id FROM moved)').execute();
      expect(await archived()).toEqual([1, 3]);
    });

    test('an UPDATE of its primary key', async () => {
      const builder = fixture.dataSource
        .createQueryBuilder()
        .update(Position)
        .set({ id: () => 'id + 100', price: 7 });
      await builder.addCommonTableExpression(ARCHIVE, 'moved').where('"invoiceId" IN (SELECT id FROM moved)').execute();
      expect(await archived()).toEqual([1, 3]);
    });

    test('an UPDATE of a key that spreads', async () => {
      const builder = fixture.dataSource
        .createQueryBuilder()
        .update(Invoice)
        .set({ id: () => 'id + 10' });
      await builder.addCommonTableExpression(ARCHIVE, 'moved').where('id IN (SELECT id FROM moved)').execute();
      expect(await archived()).toEqual([1, 3]);
    });

    test('beside a row that begins to match meanwhile', async () => {
      const { dataSource } = fixture;
      const blocking = dataSource.createQueryRunner();
      await blocking.query('BEGIN');
      await blocking.query('LOCK TABLE position IN SHARE ROW EXCLUSIVE MODE');
      await blocking.query('UPDATE invoice SET old = true WHERE id = 2');
      const builder = dataSource.createQueryBuilder().delete().from(Invoice);
      const deleted = builder.addCommonTableExpression(ARCHIVE, 'moved').where('old').execute();
      await until(async () => (await waiting(dataSource)) > 0);
      await blocking.query('COMMIT');
      await blocking.release();
      await deleted;
      const left = await dataSource.manager.find(Invoice);
      expect(await archived()).toEqual([1, 2, 3].filter((id) => !left.some((row) => row.id === id)));
    });
  });
});

async function waiting(dataSource: Fixture['dataSource']): Promise<number> {
  const rows = await dataSource.query<{ n: number }[]>(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
  );
  return rows[0]?.n ?? 0;
}
