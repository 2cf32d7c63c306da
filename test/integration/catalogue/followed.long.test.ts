import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { execute } from '../../support/database';
import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Group {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) pointsSum!: number;
}

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
@CounterCache<Point, Group>({ relation: 'group', column: 'pointsSum', incrementBy: 'amount' })
class Point {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) amount!: number;
  @Column({ default: 1 }) factor!: number;
  @ManyToOne(() => Group) group!: Relation<Group>;
  @Column({ type: 'integer', nullable: true }) ownerId!: number | null;
  @ManyToOne(() => Owner, { nullable: true, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Owner> | null;
}

const ENTITIES = [Group, Owner, Point];

const KEY = (action: string): string =>
  `ALTER TABLE point DROP CONSTRAINT IF EXISTS by_owner, ADD CONSTRAINT by_owner FOREIGN KEY ("ownerId") REFERENCES owner ${action}`;

const TRIGGER = `
  CREATE FUNCTION multiply() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.amount := NEW.factor * 10; RETURN NEW; END';
  CREATE TRIGGER multiply BEFORE UPDATE ON point FOR EACH ROW EXECUTE FUNCTION multiply()`;

describeVersions('what another process changes in the tables', (server) => {
  let fixture: Fixture;
  let group: Group;
  let owner: Owner;
  const alter = (sql: string) => execute(fixture.databaseUrl, sql);
  const sum = async (): Promise<number | undefined> => {
    await fixture.counters.flush();
    return (await fixture.dataSource.manager.findOneBy(Group, { id: group.id }))?.pointsSum;
  };
  const newPoints = async (count: number): Promise<void> => {
    const { manager } = fixture.dataSource;
    owner = await manager.save(manager.create(Owner));
    await manager.insert(
      Point,
      Array.from({ length: count }, () => ({ group, owner })),
    );
  };

  beforeEach(async () => {
    fixture = await setup({ ...madeBySql('', ENTITIES), entities: ENTITIES, server: server() });
    const { manager } = fixture.dataSource;
    group = await manager.save(manager.create(Group));
  });
  afterEach(() => fixture.close());

  /** Deletes the owner of two points until what is counted is as many as there are. */
  const expectFollowed = async (left: number): Promise<void> => {
    const { manager } = fixture.dataSource;
    await until(async () => {
      await manager.createQueryBuilder().delete().from(Point).execute();
      await newPoints(2);
      const before = await sum();
      await manager.delete(Owner, { id: owner.id });
      return (await sum()) === (before ?? 0) - 2 + left;
    });
    await manager.createQueryBuilder().delete().from(Point).execute();
    await fixture.counters.recalculate();
    await expectAgreed(fixture);
  };

  test('is followed: a constraint that is added, and its action', async () => {
    await expectFollowed(2);
    await alter(KEY('ON DELETE CASCADE'));
    await expectFollowed(0);
    await alter(KEY('ON DELETE SET NULL'));
    await expectFollowed(2);
    await fixture.dataSource.manager.insert(Owner, { id: 1_000_000 });
    await alter(`ALTER TABLE point ALTER COLUMN "ownerId" SET DEFAULT 1000000; ${KEY('ON DELETE SET DEFAULT')}`);
    await expectFollowed(2);
  });

  test('is followed: a trigger', async () => {
    await newPoints(1);
    expect(await sum()).toBe(1);
    await alter(TRIGGER);
    const { manager } = fixture.dataSource;
    let factor = 1;
    await until(async () => {
      const [before, change] = [await sum(), 10];
      await manager.update(Point, { group: { id: group.id } }, { factor: (factor += 1) });
      return (await sum()) === (before ?? 0) + change;
    });
    await fixture.counters.recalculate();
    await expectAgreed(fixture);
  });

  test('is noticed at once when a statement fails for it', async () => {
    await alter(`${KEY('ON DELETE CASCADE')}; ALTER TABLE point RENAME COLUMN factor TO weight`);
    await expect(newPoints(1)).rejects.toThrow('"factor"');
    await alter('ALTER TABLE point RENAME COLUMN weight TO factor');
    await newPoints(2);
    await fixture.dataSource.manager.delete(Owner, { id: owner.id });
    expect(await sum()).toBe(0);
  });
});
