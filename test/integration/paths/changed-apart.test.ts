import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';

@Entity()
class Region {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) salesCount!: number;
}

@Entity()
class Shop {
  @PrimaryColumn() code!: number;
  @Column() regionId!: number;
  @ManyToOne(() => Region) @JoinColumn({ name: 'regionId' }) region!: Relation<Region>;
}

@Entity()
@CounterCache<Sale, Region>({ relation: 'shop.region', column: 'salesCount' })
class Sale {
  @PrimaryColumn() id!: number;
  @Column() shopCode!: number;
  @ManyToOne(() => Shop) @JoinColumn({ name: 'shopCode' }) shop!: Relation<Shop>;
}

const TABLES = `
  CREATE TABLE region (id int PRIMARY KEY, "salesCount" int NOT NULL DEFAULT 0);
  CREATE TABLE shop (code int PRIMARY KEY, "regionId" int NOT NULL DEFAULT 0 REFERENCES region ON UPDATE SET DEFAULT);
  CREATE TABLE sale (id int PRIMARY KEY, "shopCode" int NOT NULL REFERENCES shop ON UPDATE CASCADE);`;

describeVersions('intermediate rows whose versions nothing pairs', (server) => {
  let fixture: Fixture;
  const counts = async (): Promise<Record<number, number>> => {
    const regions = await fixture.dataSource.manager.find(Region);
    return Object.fromEntries(regions.map(({ id, salesCount }) => [id, salesCount]));
  };
  const become = async (expected: Record<number, number>): Promise<void> => {
    await until(async () => JSON.stringify(await counts()) === JSON.stringify(expected)).catch(() => undefined);
    expect(await counts()).toEqual(expected);
  };

  beforeEach(async () => {
    const entities = [Region, Shop, Sale];
    fixture = await setup({ ...madeBySql(TABLES), entities, server: server(), worker: true });
    const { manager } = fixture.dataSource;
    await manager.insert(Region, [{ id: 0 }, { id: 1 }, { id: 2 }]);
    await manager.insert(Shop, [
      { code: 1, regionId: 1 },
      { code: 2, regionId: 1 },
    ]);
    await manager.insert(Sale, [
      { id: 1, shopCode: 1 },
      { id: 2, shopCode: 1 },
      { id: 3, shopCode: 2 },
    ]);
    await become({ 0: 0, 1: 3, 2: 0 });
  });
  afterEach(() => fixture.close());

  test('are led to the default by the key of a target that changes', async () => {
    await fixture.dataSource.manager.update(Region, { id: 1 }, { id: 7 });
    const expected = { 0: 3, 2: 0, 7: 0 };
    await become(expected);
    expect(await counts()).toEqual(expected);
  });

  test('get other keys and another target in one statement', async () => {
    const { manager } = fixture.dataSource;
    const set = { code: () => 'code + 100', regionId: 2 };
    await manager.createQueryBuilder().update(Shop).set(set).where('true').execute();
    const expected = { 0: 0, 1: 0, 2: 3 };
    await become(expected);
    expect(await counts()).toEqual(expected);
  });
});
