import {
  ChildEntity,
  Column,
  Entity,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { untilIdle } from '../idle';
import { type Internals, openInternals } from '../internals';

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) dogsCount!: number;
  @Column({ default: 0 }) catsCount!: number;
  @Column({ default: 0 }) toysCount!: number;
}

@Entity()
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
class Pet {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Owner) owner!: Relation<Owner> | null;
}

@ChildEntity()
@CounterCache<Dog, Owner>({ relation: 'owner', column: 'dogsCount' })
class Dog extends Pet {}

@ChildEntity()
@CounterCache<Cat, Owner>({ relation: 'owner', column: 'catsCount' })
class Cat extends Pet {}

@Entity()
@CounterCache<Toy, Owner>({ relation: 'pet.owner', column: 'toysCount' })
class Toy {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Pet) pet!: Relation<Pet>;
}

const WRONG = `
  SELECT * FROM (
    SELECT o.id, ARRAY[o."dogsCount", o."catsCount", o."toysCount"] AS got, ARRAY[
      (SELECT count(*) FROM pet p WHERE p."ownerId" = o.id AND p.kind = 'Dog'),
      (SELECT count(*) FROM pet p WHERE p."ownerId" = o.id AND p.kind = 'Cat'),
      (SELECT count(*) FROM toy t JOIN pet p ON p.id = t."petId" WHERE p."ownerId" = o.id)]::int[] AS "right"
    FROM owner o
  ) x WHERE got <> "right"`;

let fixture: Fixture;
let internals: Internals;
let one: Owner;
let two: Owner;

beforeAll(async () => {
  fixture = await setup({ entities: [Owner, Pet, Dog, Cat, Toy] });
  internals = await openInternals(fixture.dataSource);
});
beforeEach(async () => {
  const { manager } = fixture.dataSource;
  [one, two] = (await manager.save([manager.create(Owner), manager.create(Owner)])) as [Owner, Owner];
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

const owners = (): Promise<unknown> => fixture.dataSource.query(WRONG);

async function expectExact(): Promise<void> {
  await fixture.counters.flush();
  expect(await owners()).toEqual([]);
}

async function expectExactOnceIdle(): Promise<void> {
  const worker = await fixture.counters.startWorker();
  await untilIdle(fixture, internals);
  await worker.close();
  expect(await owners()).toEqual([]);
}

describe('counters.track of one class of a table', () => {
  test('leaves to its sibling what TypeORM writes of it', async () => {
    await fixture.counters.track(fixture.dataSource.manager, Dog, {}, async (own) => {
      await own.query(`INSERT INTO pet (kind, "ownerId") VALUES ('Dog', $1)`, [one.id]);
      await own.insert(Cat, [{ owner: one }, { owner: two }]);
      await own.insert(Dog, { owner: two });
    });
    await expectExact();
  });

  test.each([Dog, Pet])('counts rows that raw SQL makes another class: %p', async (entity) => {
    const { manager } = fixture.dataSource;
    await manager.insert(Dog, [{ owner: one }, { owner: two }]);
    await manager.insert(Cat, { owner: two });
    await fixture.counters.track(manager, entity, {}, (own) =>
      own.query(`UPDATE pet SET kind = 'Cat', "ownerId" = $1 WHERE kind = 'Dog'`, [two.id]),
    );
    await expectExact();
  });
});

describe('counters.track of counters with paths', () => {
  test.each(['raw SQL', 'TypeORM'])('of sources and of intermediate rows, both deleted by %s', async (how) => {
    const { manager } = fixture.dataSource;
    const pet = await manager.save(manager.create(Dog, { owner: one }));
    await manager.insert(Toy, [{ pet }, { pet }]);
    await expectExact();
    await fixture.counters.track(manager, Toy, { pet: { id: pet.id } }, (own) =>
      fixture.counters.track(own, Pet, { id: pet.id }, async (inner) => {
        if (how === 'TypeORM') {
          await inner.delete(Toy, { pet: { id: pet.id } });
          await inner.delete(Dog, { id: pet.id });
        } else {
          await inner.query('DELETE FROM toy WHERE "petId" = $1', [pet.id]);
          await inner.query('DELETE FROM pet WHERE id = $1', [pet.id]);
        }
      }),
    );
    await expectExactOnceIdle();
  });

  test('moved between what TypeORM and raw SQL write of the sources', async () => {
    const { manager } = fixture.dataSource;
    const pet = await manager.save(manager.create(Cat, { owner: one }));
    await fixture.counters.track(manager, Pet, { id: pet.id }, (own) =>
      fixture.counters.track(own, Toy, { pet: { id: pet.id } }, async (inner) => {
        await inner.insert(Toy, { pet });
        await inner.query('UPDATE pet SET "ownerId" = $1 WHERE id = $2', [two.id, pet.id]);
        await inner.insert(Toy, { pet });
        await inner.query('INSERT INTO toy ("petId") VALUES ($1)', [pet.id]);
      }),
    );
    await expectExactOnceIdle();
  });

  test('under REPEATABLE READ, of more ways than a call has arguments', async () => {
    const { manager } = fixture.dataSource;
    await manager.query(`INSERT INTO pet (kind, "ownerId") SELECT 'Dog', $1 FROM generate_series(1, 130000)`, [one.id]);
    await manager.query('INSERT INTO toy ("petId") SELECT id FROM pet');
    await fixture.counters.recalculate();
    await manager.transaction('REPEATABLE READ', (own) => own.createQueryBuilder().delete().from(Toy).execute());
    await expectExactOnceIdle();
  }, 180_000);
});
