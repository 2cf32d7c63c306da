import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';

@Entity()
class Jar {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) coinsCount!: number;
}

@Entity()
@CounterCache<Coin, Jar>({ relation: 'jar', column: 'coinsCount', incrementBy: 'value', flushAt: 3 })
class Coin {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) value!: number;
  @ManyToOne(() => Jar) jar!: Relation<Jar>;
}

let fixture: Fixture;

beforeEach(async () => {
  fixture = await setup({
    entities: [Jar, Coin],
    counters: { mode: 'outbox', wait: 600_000 },
    worker: true,
  });
});
afterEach(async () => {
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

test.each([1, -1])('flushAt: due at once when what waits reaches it, whoever wrote it; by %i', async (value) => {
  const { manager } = fixture.dataSource;
  const [full, open] = await manager.save([manager.create(Jar), manager.create(Jar)]);
  const coin = (jar: Jar | undefined): Promise<unknown> => manager.insert(Coin, { jar: jar ?? null, value } as never);
  await Promise.all([coin(open), coin(open)]);
  await coin(full);
  await coin(full);
  const soon = Date.now() + 60_000;
  expect((await fixture.counters.status()).oldestDue).toBeGreaterThan(soon);
  await coin(full);
  await until(async () => (await manager.findOneByOrFail(Jar, { id: full?.id ?? 0 })).coinsCount === 3 * value);
  expect(await fixture.counters.status()).toMatchObject({ dirty: 1 });
  expect(await manager.findOneByOrFail(Jar, { id: open?.id ?? 0 })).toMatchObject({ coinsCount: 0 });
});
