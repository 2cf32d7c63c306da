import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { asleep } from '../support/asleep';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) itemsCount!: number;
}

@Entity()
@CounterCache<Item, Owner>({ relation: 'owner', column: 'itemsCount' })
class Item {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true }) slug!: string;
  @Column({ default: '' }) title!: string;
  @ManyToOne(() => Owner, { nullable: true }) owner!: Relation<Owner> | null;
}

const WRONG = `SELECT o.id, o."itemsCount", count(i.id)::int AS truth FROM owner o LEFT JOIN item i ON i."ownerId" = o.id
  GROUP BY o.id HAVING o."itemsCount" <> count(i.id)`;

/** Inserting a row of this title takes a while. */
const SLOW = `
  CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
  CREATE TRIGGER slowly BEFORE INSERT ON item FOR EACH ROW WHEN (NEW.title = 'slow') EXECUTE FUNCTION slowly()`;

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Owner, Item] });
  (fixture.dataSource.driver as { version?: string }).version = '17.0';
  await fixture.dataSource.query(SLOW);
});
afterAll(() => fixture.close());

test('an upsert that starts again reads what it had locked again: its locks went with the savepoint', async () => {
  const { manager } = fixture.dataSource;
  const owner = (): Promise<Owner> => manager.save(manager.create(Owner));
  const [ann, bob, carl] = [await owner(), await owner(), await owner()];
  await manager.insert(Item, { slug: 'one', owner: ann });
  const rows = [
    { slug: 'one', owner: bob },
    { slug: 'two', title: 'slow', owner: bob },
  ];
  const upsert = manager.upsert(Item, rows, ['slug']);
  await until(async () => (await asleep(fixture.dataSource)) > 0);
  await fixture.dataSource.transaction(async (inside) => {
    // Waits until the probe is rolled back; the first attempt then waits for it, and meets a new row.
    await inside.update(Item, { slug: 'one' }, { owner: ann });
    await inside.insert(Item, { slug: 'two' });
  });
  await until(async () => (await asleep(fixture.dataSource)) > 0);
  // Waits until the first attempt is rolled back.
  await manager.update(Item, { slug: 'one' }, { owner: carl });
  await upsert;
  await fixture.counters.flush();
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  expect(fixture.errors).toEqual([]);
});
