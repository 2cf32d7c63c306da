import {
  Column,
  DeleteDateColumn,
  Entity,
  In,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount } from './agreement';

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) petsCount!: number;
  @Column({ default: 0 }) weightSum!: number;
  @Column({ default: 0 }) bigCount!: number;
  @OneToMany(() => Pet, (pet) => pet.owner, { cascade: true }) pets!: Pet[];
  @OneToMany(() => Toy, (toy) => toy.owner, { cascade: true }) toys!: Toy[];
  @Column({ default: 0 }) toysCount!: number;
}

@Entity()
@CounterCache<Pet, Owner>({ relation: 'owner', column: 'petsCount' })
@CounterCache<Pet, Owner>({ relation: 'owner', column: 'weightSum', incrementBy: 'weight' })
@CounterCache<Pet, Owner>({ relation: 'owner', column: 'bigCount', if: ({ weight }) => weight > 5 })
class Pet {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true }) chip!: string;
  @Column({ default: 1 }) weight!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Owner, (owner) => owner.pets, { nullable: true }) owner!: Relation<Owner> | null;
}

@Entity()
@CounterCache<Toy, Owner>({ relation: 'owner', column: 'toysCount' })
class Toy {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'int', nullable: true }) ownerId!: number | null;
  @ManyToOne(() => Owner, (owner) => owner.toys, { nullable: true, orphanedRowAction: 'delete' })
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Owner> | null;
}

const TRUTH = `SELECT o.id, ARRAY["petsCount", "weightSum", "bigCount", "toysCount"]::text[] AS got, ARRAY[count(p.id),
  COALESCE(sum(p.weight), 0), count(p.id) FILTER (WHERE p.weight > 5), (SELECT count(*) FROM toy t WHERE t."ownerId" = o.id)]::text[] AS right
  FROM owner o LEFT JOIN pet p ON p."ownerId" = o.id AND p."deletedAt" IS NULL GROUP BY o.id ORDER BY o.id`;

let fixture: Fixture;
let ann: Owner;
let bob: Owner;
let chips = 0;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Owner, Pet, Toy] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
  });
  beforeEach(async () => {
    ann = await fixture.dataSource.manager.save(fixture.dataSource.manager.create(Owner));
    bob = await fixture.dataSource.manager.save(fixture.dataSource.manager.create(Owner));
  });
  afterEach(async () => {
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });
  afterAll(() => fixture.close());

  const expectTruth = (): Promise<void> => expectAgreement(fixture, TRUTH);
  const chip = (): string => `chip ${++chips}`;
  const rows = (count: number, owner: Owner | null = ann, weight = 1) =>
    Array.from({ length: count }, () => ({ chip: chip(), owner, weight }));

  test('upsert: new and existing rows, with the key changed and not', async () => {
    const { manager } = fixture.dataSource;
    const given = rows(6);
    await manager.upsert(Pet, given, ['chip']);
    await expectTruth();
    await manager.upsert(Pet, [...given, ...rows(3, bob)], ['chip']);
    await expectTruth();
    await manager.upsert(
      Pet,
      [...given.slice(2).map((row) => ({ ...row, owner: bob, weight: 9 })), ...rows(2, null)],
      ['chip'],
    );
    await expectTruth();
    await manager.upsert(
      Pet,
      given.map((row) => ({ ...row, weight: 3 })),
      { conflictPaths: ['chip'], skipUpdateIfNoValuesChanged: true },
    );
    await expectTruth();
    await fixture.dataSource.transaction(async (inside) => {
      await inside.upsert(
        Pet,
        given.map((row) => ({ ...row, owner: null })),
        ['chip'],
      );
      await inside.upsert(
        Pet,
        given.map((row) => ({ ...row, owner: bob })),
        ['chip'],
      );
    });
    await expectTruth();
    await manager.softDelete(Pet, { chip: given[0]?.chip ?? '' });
    await manager.upsert(
      Pet,
      given.map((row) => ({ ...row, weight: 8 })),
      ['chip'],
    );
  });

  test('insert or ignore counts what was inserted', async () => {
    const given = rows(4);
    await fixture.dataSource.manager.insert(Pet, given.slice(0, 2));
    const insert = fixture.dataSource.createQueryBuilder().insert().into(Pet);
    await insert
      .values([...given, ...rows(2, bob)])
      .orIgnore()
      .execute();
    expect(await fixture.dataSource.manager.countBy(Pet, { owner: { id: ann.id } })).toBe(4);
    await expectTruth();
    await fixture.dataSource
      .createQueryBuilder()
      .insert()
      .into(Pet)
      .values(given)
      .orIgnore()
      .updateEntity(false)
      .execute();
  });

  test('insert from a select', async () => {
    const { dataSource } = fixture;
    await dataSource.manager.insert(Pet, rows(5, ann, 6));
    await expectTruth();
    await dataSource
      .createQueryBuilder()
      .insert()
      .into(Toy, ['ownerId'])
      .valuesFromSelect((query) =>
        query.select(`CAST(${bob.id} AS int)`).from(Pet, 'pet').where('pet.ownerId = :id', { id: ann.id }),
      )
      .execute();
    expect(await dataSource.manager.countBy(Toy, { ownerId: bob.id })).toBe(5);
  });

  test('many rows in one statement, moved and removed by criteria', async () => {
    const { manager } = fixture.dataSource;
    await manager.insert(Pet, [...rows(500), ...rows(500, bob, 7), ...rows(10, null)]);
    await expectTruth();
    await manager.update(Pet, { owner: { id: ann.id } }, { owner: bob });
    await expectTruth();
    await manager.update(Pet, { owner: { id: bob.id }, weight: 7 }, { owner: ann, weight: 2 });
    await fixture.dataSource
      .createQueryBuilder()
      .update(Pet)
      .set({ owner: null })
      .where('id % 2 = :odd', { odd: 1 })
      .execute();
    await expectTruth();
    await manager.softDelete(Pet, { owner: { id: ann.id } });
    await expectTruth();
    await fixture.dataSource.createQueryBuilder().restore().from(Pet).where('id % 4 = 0').execute();
    await expectTruth();
    await fixture.dataSource.createQueryBuilder().delete().from(Pet).where('id % 4 = 2').execute();
    await fixture.dataSource
      .createQueryBuilder()
      .relation(Owner, 'pets')
      .of(ann)
      .add((await manager.find(Pet, { take: 3 })).map(({ id }) => id));
    await expectTruth();
    await expectRecount(fixture, 'UPDATE owner SET "petsCount" = 8, "weightSum" = 8', TRUTH);
  });

  test('cascades of TypeORM: insert, adopt, and orphans nullified or deleted', async () => {
    const { manager } = fixture.dataSource;
    ann.pets = rows(3).map(({ chip: tag }) => manager.create(Pet, { chip: tag, weight: 6 }));
    ann.toys = [manager.create(Toy, {}), manager.create(Toy, {})];
    bob.toys = [manager.create(Toy, {})];
    await manager.save([ann, bob]);
    await expectTruth();
    bob.pets = [...ann.pets.splice(0, 1), manager.create(Pet, { chip: chip() })];
    await manager.save(bob);
    await expectTruth();
    ann.pets = ann.pets.slice(1);
    ann.toys = ann.toys.slice(1);
    await manager.save(ann);
    await expectTruth();
    expect(await manager.countBy(Owner, { id: ann.id, petsCount: 1, toysCount: 1 })).toBe(1);
    ann.pets = [];
    ann.toys = [];
    await manager.save(ann);
    await manager.remove(await manager.findBy(Toy, { owner: { id: bob.id } }));
  });

  test.each([
    { listeners: false },
    { reload: false },
    { transaction: false },
    { chunk: 2 },
    { listeners: false, reload: false, transaction: false, chunk: 3 },
  ])('save and remove with %p', async (options) => {
    const { manager } = fixture.dataSource;
    const given = rows(7);
    await manager.save(
      given.map((row) => manager.create(Pet, row)),
      options,
    );
    await expectTruth();
    // Without reload nobody learns the generated ids.
    const pets = await manager.findBy(Pet, { chip: In(given.map((row) => row.chip)) });
    for (const [i, pet] of pets.entries()) Object.assign(pet, { owner: [ann, bob, null][i % 3], weight: 3 * i });
    await manager.save(pets, options);
    await expectTruth();
    await manager.softRemove(pets.slice(0, 4), options);
    await expectTruth();
    await manager.recover(pets.slice(0, 2), options);
    await expectTruth();
    await manager.remove(pets.slice(1, 6), options);
  });
});
