import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  Generated,
  In,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
  VirtualColumn,
} from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

enum Mood {
  Calm = 'calm',
  Wild = 'it\'s "wild"',
}

@Entity()
class Zoo {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) animalsCount!: number;
  @Column({ default: 0 }) heavyCount!: number;
  @Column({ default: 0 }) wildCount!: number;
  @Column({ default: 0 }) taggedSum!: number;
  @Column({ default: 0 }) youngCount!: number;
  @Column({ generatedType: 'STORED', asExpression: `upper(name)`, type: 'text' }) label!: string;
  @VersionColumn() version!: number;
  @UpdateDateColumn({ type: 'timestamptz' }) updatedAt!: Date;
  @VirtualColumn({ query: (alias) => `SELECT count(*)::int FROM animal a WHERE a."zooId" = ${alias}.id` })
  counted!: number;
}

@Entity()
@CounterCache<Animal, Zoo>({ relation: 'zoo', column: 'animalsCount' })
@CounterCache<Animal, Zoo>({ relation: 'zoo', column: 'heavyCount', where: { heavy: true } })
@CounterCache<Animal, Zoo>({ relation: 'zoo', column: 'wildCount', where: { mood: In([Mood.Wild]) } })
@CounterCache<Animal, Zoo>({
  relation: 'zoo',
  column: 'taggedSum',
  incrementBy: ({ tags, moods, details, grid }) =>
    tags.length + 10 * moods.length + 100 * (details?.points ?? 0) + 1_000 * (grid?.[0]?.length ?? 0),
})
@CounterCache<Animal, Zoo>({ relation: 'zoo', column: 'youngCount', if: ({ version }) => version < 3 })
class Animal {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', precision: 8, scale: 2, default: 1 }) weight!: NumericText;
  @Column({ generatedType: 'STORED', asExpression: 'weight >= 100', type: 'boolean' }) heavy!: boolean;
  @Column({ type: 'enum', enum: Mood, default: Mood.Calm }) mood!: Mood;
  @Column({ type: 'enum', enum: Mood, array: true, default: [] }) moods!: Mood[];
  @Column({ type: 'text', array: true, default: [] }) tags!: string[];
  @Column({ type: 'int', array: true, nullable: true }) grid!: number[][] | null;
  @Column({ type: 'jsonb', nullable: true }) details!: { points: number } | null;
  @Column({ type: 'simple-array', default: '' }) names!: string[];
  @Column({ type: 'bytea', nullable: true }) picture!: Buffer | null;
  @Column({ type: 'point', nullable: true }) place!: string | { x: number; y: number } | null;
  @Column({ type: 'interval', nullable: true }) age!: string | null;
  @Column({ type: 'tsvector', nullable: true, select: false }) search!: string | null;
  @Column() @Generated('uuid') code!: string;
  @CreateDateColumn({ type: 'timestamptz' }) bornAt!: Date;
  @UpdateDateColumn({ type: 'timestamptz' }) updatedAt!: Date;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @VersionColumn() version!: number;
  @VirtualColumn({ query: (alias) => `SELECT z.name FROM zoo z WHERE z.id = ${alias}."zooId"` }) zooName!: string;
  @ManyToOne(() => Zoo) zoo!: Relation<Zoo> | null;
}

const ANIMALS = 'FROM animal a WHERE a."zooId" = t.id AND a."deletedAt" IS NULL';
const ZOOS: Truth = {
  table: 'zoo',
  columns: {
    '"animalsCount"': `(SELECT count(*) ${ANIMALS})`,
    '"heavyCount"': `(SELECT count(*) ${ANIMALS} AND a.weight >= 100)`,
    '"wildCount"': `(SELECT count(*) ${ANIMALS} AND a.mood = 'it''s "wild"')`,
    '"taggedSum"': `(SELECT COALESCE(sum(cardinality(a.tags) + 10 * cardinality(a.moods)
      + 100 * COALESCE((a.details->>'points')::int, 0) + 1000 * COALESCE(array_length(a.grid, 2), 0)), 0) ${ANIMALS})`,
    '"youngCount"': `(SELECT count(*) ${ANIMALS} AND a.version < 3)`,
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Zoo, Animal] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('columns that are more than values, PostgreSQL %s', (version) => {
  let one: Zoo;
  let two: Zoo;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, [ZOOS]);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Animal, Zoo]);
    one = await manager().save(manager().create(Zoo, { name: 'one' }));
    two = await manager().save(manager().create(Zoo, { name: 'two' }));
  });
  afterEach(() => expectAgreed(fixture));

  test('in every write', async () => {
    await expectEveryWrite<Zoo>(fixture, {
      source: Animal,
      targets: [one, two],
      values: (zoo, row) => ({
        zoo,
        weight: String(row * 40),
        mood: row % 2 === 0 ? Mood.Wild : Mood.Calm,
        moods: [Mood.Wild, Mood.Calm].slice(row % 3),
        tags: ['a,b', `"c"`, 'NULL', '{}'].slice(row % 5),
        grid: row % 2 === 0 ? [[1, 2, row]] : null,
        details: { points: row },
        names: ['x', 'y'],
        picture: Buffer.from([row, 0, 92]),
        place: `(${row},2)`,
        age: '1 year 2 days',
        search: `'cat':${row + 1}`,
      }),
      truths: [ZOOS],
    });
  });

  test('a generated column follows another, a version every update', async () => {
    const animal = await manager().save(manager().create(Animal, { zoo: one, weight: '99.99' }));
    await manager().update(Animal, { id: animal.id }, { weight: '100' });
    await right();
    expect(await manager().findOneByOrFail(Zoo, { id: one.id })).toMatchObject({ heavyCount: 1, youngCount: 1 });
    await manager().update(Animal, { id: animal.id }, { names: ['third version'] });
    await right();
    expect(await manager().findOneByOrFail(Zoo, { id: one.id })).toMatchObject({ youngCount: 0 });
    await manager().increment(Animal, { id: animal.id }, 'weight', -50);
    await right();
    await expectMended(fixture, [ZOOS]);
  });

  test('what TypeORM writes and returns by itself is as it would be without counters', async () => {
    const animal = await manager().save(manager().create(Animal, { zoo: one, tags: ['a'] }));
    expect(animal).toMatchObject({
      version: 1,
      heavy: false,
      mood: Mood.Calm,
      moods: [],
      code: expect.any(String) as string,
    });
    expect(animal.updatedAt).toEqual(animal.bornAt);
    const saved = await manager().save(Object.assign(animal, { zoo: two, weight: '500' }));
    expect(saved).toMatchObject({ version: 2, weight: '500' });
    expect(saved.updatedAt.getTime()).toBeGreaterThan(saved.bornAt.getTime());
    expect(Object.keys(saved).filter((key) => key.startsWith('__cc'))).toEqual([]);
    const read = await manager().findOneByOrFail(Animal, { id: animal.id });
    expect(read).toMatchObject({ zooName: 'two', heavy: true, version: 2, tags: ['a'] });
    await right();
    expect(await manager().findOneByOrFail(Zoo, { id: two.id })).toMatchObject({
      counted: 1,
      animalsCount: 1,
      heavyCount: 1,
      label: 'TWO',
      version: 1,
      updatedAt: two.updatedAt,
    });
  });

  test('a result of the caller’s own RETURNING is undisturbed', async () => {
    await manager().insert(Animal, [{ zoo: one }, { zoo: one }]);
    const updated = await manager()
      .createQueryBuilder()
      .update(Animal)
      .set({ zoo: two })
      .where({ zoo: { id: one.id } })
      .returning(['id', 'version', 'mood'])
      .execute();
    expect(updated.affected).toBe(2);
    expect(updated.raw).toEqual([1, 2].map(() => ({ id: expect.any(Number) as number, version: 2, mood: Mood.Calm })));
    const deleted = await manager().createQueryBuilder().delete().from(Animal).returning('id').execute();
    expect(deleted).toMatchObject({ affected: 2, raw: [{ id: expect.any(Number) as number }, {}] });
    await right();
  });
});
