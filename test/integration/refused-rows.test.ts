import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { expectAgreement } from './agreement';

@Entity()
class Bin {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) itemsCount!: number;
  @Column({ type: 'smallint', default: 0 }) weight!: number;
}

@Entity()
@CounterCache<Item, Bin>({ relation: 'bin', column: 'itemsCount' })
@CounterCache<Item, Bin>({ relation: 'bin', column: 'weight', incrementBy: 'weight' })
class Item {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) weight!: number;
  @ManyToOne(() => Bin, { nullable: true }) bin!: Relation<Bin> | null;
}

const TRUTH = `SELECT b.id, ARRAY["itemsCount", b.weight]::text[] AS got,
  ARRAY[count(i.id), COALESCE(sum(i.weight), 0)]::text[] AS right
  FROM bin b LEFT JOIN item i ON i."binId" = b.id GROUP BY b.id ORDER BY b.id`;

let fixture: Fixture;
let bins: Bin[];
let failed: { readonly entity: string; readonly id: string; readonly reason: string }[];

beforeEach(async () => {
  fixture = await setup({ entities: [Bin, Item], counters: { shards: 1 } });
  bins = await fixture.dataSource.manager.save(
    Bin,
    Array.from({ length: 9 }, () => ({})),
  );
  failed = [];
  fixture.counters.on('failed', (event) => failed.push(event));
});
afterEach(async () => {
  await expectAgreement(fixture, TRUTH);
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

const counts = async (): Promise<number[]> =>
  (await fixture.dataSource.manager.find(Bin, { order: { id: 'ASC' } })).map(({ itemsCount }) => itemsCount);

/** Lets the fifth bin hold nothing. */
async function constrain(): Promise<void> {
  await fixture.dataSource.query(
    `ALTER TABLE bin ADD CONSTRAINT closed CHECK (id <> ${bins[4]?.id} OR "itemsCount" = 0)`,
  );
}

const release = (): Promise<unknown> => fixture.dataSource.query('ALTER TABLE bin DROP CONSTRAINT closed');
const fill = (): Promise<unknown> =>
  fixture.dataSource.manager.insert(
    Item,
    bins.map((bin) => ({ bin })),
  );

test('a CHECK constraint on one row: the others are applied, it is parked, retryFailed applies it', async () => {
  await constrain();
  await fill();
  expect(await fixture.counters.flush()).toMatchObject({ batches: 1, targets: 8, unapplied: 1 });
  expect(await counts()).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1]);
  const row = { entity: 'Bin', id: String(bins[4]?.id), reason: expect.stringContaining('"closed"') as string };
  expect(failed).toEqual([row]);
  expect((await fixture.counters.status()).failed).toEqual([row]);

  await fill();
  await fixture.counters.flush();
  expect(await counts()).toEqual([2, 2, 2, 2, 0, 2, 2, 2, 2]);
  expect(await fixture.counters.read(Bin, bins[4]?.id ?? 0, 'itemsCount')).toBe(2);
  expect(failed).toHaveLength(1);

  expect(await fixture.counters.retryFailed({ target: Bin, ids: [bins[0]?.id ?? 0] })).toBe(0);
  expect(await fixture.counters.retryFailed({ target: Bin, ids: [bins[4]?.id ?? 0] })).toBe(1);
  await fixture.counters.flush();
  expect(failed).toHaveLength(2);
  await release();
  expect(await fixture.counters.retryFailed()).toBe(1);
  await fixture.counters.flush();
  expect(await counts()).toEqual(Array.from({ length: 9 }, () => 2));
});

test('a recalculation clears a failed row, and does not add to it', async () => {
  await constrain();
  await fill();
  await fixture.counters.flush();
  await release();
  expect(await fixture.counters.recalculate()).toMatchObject({ checked: 9, fixedCount: 0, failed: [] });
  expect(await counts()).toEqual(Array.from({ length: 9 }, () => 1));
  expect((await fixture.counters.status()).failed).toEqual([]);
});

test('a recalculation of what the database still refuses leaves it failed', async () => {
  await constrain();
  await fill();
  await fixture.counters.flush();
  const { failed: refused } = await fixture.counters.recalculate();
  expect(refused).toEqual((await fixture.counters.status()).failed);
  expect(refused).toMatchObject([{ entity: 'Bin', id: String(bins[4]?.id) }]);
  expect((await fixture.counters.recalculate({ target: Bin, ids: [bins[0]?.id ?? 0] })).failed).toEqual([]);
  await release();
  await fixture.counters.retryFailed();
});

test('an overflow of the column parks the row; what brings it back in range applies', async () => {
  const { manager } = fixture.dataSource;
  await fill();
  const item = await manager.save(Item, { bin: bins[2] ?? null, weight: 40_000 });
  await fixture.counters.flush();
  expect(await counts()).toEqual([1, 1, 0, 1, 1, 1, 1, 1, 1]);
  expect((await fixture.counters.status()).failed).toEqual([
    { entity: 'Bin', id: String(bins[2]?.id), reason: expect.stringContaining('out of range') as string },
  ]);
  await manager.update(Item, { id: item.id }, { weight: 30_000 });
  await fixture.counters.settled();
  expect(await fixture.counters.retryFailed()).toBe(1);
  await fixture.counters.flush();
  expect(await counts()).toEqual([1, 1, 2, 1, 1, 1, 1, 1, 1]);
});

test('a worker goes on beside a failed row', async () => {
  const worker = await fixture.counters.startWorker();
  await constrain();
  for (let round = 1; round <= 3; round++) {
    await fill();
    await until(
      async () => JSON.stringify(await counts()) === JSON.stringify(bins.map((_, i) => (i === 4 ? 0 : round))),
    );
  }
  await until(() => failed.length > 0);
  expect(failed).toHaveLength(1);
  await release();
  await fixture.counters.retryFailed();
  await until(async () => (await counts())[4] === 3);
  await worker.close();
});

test('a row that somebody has locked is put off, the others are applied', async () => {
  await fill();
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query('BEGIN');
  await runner.query('SELECT id FROM bin WHERE id = $1 FOR NO KEY UPDATE', [bins[1]?.id]);
  expect(await fixture.counters.flush()).toMatchObject({ targets: 8, unapplied: 1 });
  expect(await counts()).toEqual([1, 0, 1, 1, 1, 1, 1, 1, 1]);
  expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
  await runner.query('COMMIT');
  await runner.release();
  expect(failed).toEqual([]);
});
