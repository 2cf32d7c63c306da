import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { asTenant, type Member, openWorld, secure, type World } from './tenants';

@Entity()
class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) itemsCount!: number;
}

@Entity()
class Shelf {
  @PrimaryColumn() code!: string;
  @Column() tenant!: string;
  @Column({ default: false }) closed!: boolean;
  @Column({ type: 'integer', nullable: true }) shopId!: number | null;
  @ManyToOne(() => Shop, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'shopId' })
  shop!: Relation<Shop> | null;
}

@Entity()
@CounterCache<Item, Shop>({ relation: 'shelf.shop', column: 'itemsCount' })
class Item {
  @PrimaryGeneratedColumn() id!: number;
  @Column() tenant!: string;
  @Column({ type: 'text' }) shelfCode!: string;
  @ManyToOne(() => Shelf, { nullable: false, onDelete: 'CASCADE', onUpdate: 'CASCADE' })
  @JoinColumn({ name: 'shelfCode' })
  shelf!: Relation<Shelf>;
}

describeVersions('intermediate rows that a writer may not see', (server) => {
  let world: World;
  let writer: Member;
  let worker: Member;

  beforeAll(async () => {
    world = await openWorld(server(), [Shop, Shelf, Item]);
    await world.roles('writer', 'worker');
    await world.sql(`ALTER ROLE :worker BYPASSRLS; ${secure('shelf')};
      GRANT ALL ON ALL TABLES IN SCHEMA public TO :writer, :worker;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO :writer, :worker`);
    writer = await world.attach('writer');
    worker = await world.attach('worker');
    await worker.counters.startWorker();
  });
  afterAll(() => world.close());
  afterEach(() => expect(worker.errors).toEqual([]));

  let shelves = 0;

  async function shelfOf(tenant: string, shopId: number | null): Promise<string> {
    const code = `s${(shelves += 1)}`;
    await world.dataSource.manager.insert(Shelf, { code, tenant, shopId });
    return code;
  }

  const shop = () => world.dataSource.manager.save(new Shop());
  const columnOf = async ({ id }: Shop) =>
    (await world.sql('SELECT "itemsCount" AS n FROM shop WHERE id = $1', [id]))[0]?.['n'];
  const put = (shelfCode: string) =>
    asTenant(writer, 'a', (manager) => manager.insert(Item, { tenant: 'a', shelfCode }));

  test('lead somewhere all the same', async () => {
    const target = await shop();
    await put(await shelfOf('a', target.id));
    await until(async () => (await columnOf(target)) === 1);
    expect(writer.errors).toEqual([]);
    await put(await shelfOf('b', target.id));
    await until(async () => (await columnOf(target)) === 2);
    expect(writer.errors).toMatchObject([
      { code: 'NOT_PERMITTED', problems: [expect.stringContaining('row security may hide rows of public.shelf')] },
    ]);
    writer.errors.splice(0);
  });

  test('also for sources that go', async () => {
    const target = await shop();
    const code = await shelfOf('b', target.id);
    await put(code);
    await until(async () => (await columnOf(target)) === 1);
    await asTenant(writer, 'a', (manager) => manager.delete(Item, { shelfCode: code }));
    await until(async () => (await columnOf(target)) === 0);
  });

  test('where a row is seen that leads nowhere, nothing is recounted', async () => {
    writer.errors.splice(0);
    const others = await world.attach('writer');
    await asTenant(others, 'a', async (manager) => {
      await manager.insert(Item, { tenant: 'a', shelfCode: await shelfOf('a', null) });
    });
    await others.counters.settled();
    expect(others.errors).toEqual([]);
  });

  test('a key that others follow out of sight, by ON UPDATE CASCADE', async () => {
    await world.sql(secure('item'));
    const target = await shop();
    const code = await shelfOf('a', target.id);
    for (const tenant of ['a', 'b'])
      await world.dataSource.query('INSERT INTO item (tenant, "shelfCode") VALUES ($1, $2)', [tenant, code]);
    await worker.counters.recalculate();
    expect(await columnOf(target)).toBe(2);
    await asTenant(writer, 'a', (manager) => manager.update(Shelf, { code }, { code: `${code}x` }));
    await writer.counters.settled();
    await until(async () => (await worker.counters.status()).recalculations === 0);
    expect(await columnOf(target)).toBe(2);
    expect(await worker.counters.verify()).toMatchObject({ fixedCount: 0 });
  });

  test('tracked work is refused where it may not see what it compares', async () => {
    await expect(
      asTenant(writer, 'a', (manager) =>
        writer.counters.track(manager, Item, { tenant: 'a' }, (own) => own.query('DELETE FROM item')),
      ),
    ).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    const { manager } = worker.dataSource;
    await worker.counters.track(manager, Item, { tenant: 'a' }, (own) =>
      own.query(`DELETE FROM item WHERE tenant = 'a'`),
    );
    await worker.counters.settled();
  });
});
