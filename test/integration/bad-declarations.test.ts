import { Column, DataSource, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { ConfigurationError, CounterCache, counterCacheEntities, Counters } from 'typeorm-counter-cache';

import { createDatabase, type TestDatabase } from '../support/database';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) petsCount!: number;
  @Column({ default: '' }) name!: string;
  @Column({ type: 'double precision', default: 0 }) ratio!: number;
  @Column({ type: 'int', generatedType: 'STORED', asExpression: '1 + 1' }) computed!: number;
}

@Entity()
@CounterCache({ relation: 'owner', column: 'petCount' } as never)
@CounterCache({ relation: 'ownr', column: 'petsCount' } as never)
@CounterCache({ relation: 'owner', colum: 'petsCount', column: 'petsCount' } as never)
@CounterCache({ relation: 'owner', column: 'petsCount' })
@CounterCache({ relation: 'owner', column: 'name' } as never)
@CounterCache({ relation: 'owner', column: 'ratio' })
@CounterCache({ relation: 'owner', column: 'computed' })
@CounterCache({ relation: 'owner', column: 'petsCount', incrementBy: 'siz', where: { agee: 3 }, touch: true } as never)
class Pet {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) age!: number;
  @Column({ default: 0 }) size!: number;
  @ManyToOne(() => Owner) owner!: Relation<Owner>;
}

class Stranger {
  owner!: Owner;
}

const EXPECTED = [
  /unknown column 'petCount' of Owner, did you mean 'petsCount'\?/,
  /unknown relation 'ownr' of Pet, did you mean 'owner'\?/,
  /unknown option 'colum', did you mean 'column'\?/,
  /expected to be declared once, got: twice/,
  /expected Owner\.name to be smallint, integer, bigint or numeric/,
  /expected Owner\.ratio to be .* got: double precision/,
  /expected Owner\.computed to be .* got: a column generated from an expression/,
  /unknown property 'siz' of Pet, in 'incrementBy', did you mean 'size'\?/,
  /expected 'where\.agee' to be a stored column of Pet, did you mean 'age'\?/,
  /expected Owner to have an @UpdateDateColumn/,
  /Stranger: expected @CounterCache on an entity, got: a class without @Entity/,
];

let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  CounterCache({ relation: 'owner', column: 'petsCount' })(Stranger);
  database = await createDatabase();
});
beforeEach(() => {
  dataSource = newDataSource(database.url, [Owner, Pet, ...counterCacheEntities]);
});
afterAll(() => database.drop());

const attach = (): Promise<Counters> => Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });

function expectEveryProblem(error: unknown): void {
  expect(error).toBeInstanceOf(ConfigurationError);
  const { problems, message, code } = error as ConfigurationError;
  expect(code).toBe('CONFIGURATION');
  for (const expected of EXPECTED) {
    expect(problems).toContainEqual(expect.stringMatching(expected));
    expect(message).toMatch(expected);
  }
}

/** Connections to the database of this file, but for the one that asks. */
async function connections(): Promise<number> {
  const asking = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  const rows: { n: number }[] = await asking.query(
    'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await asking.destroy();
  return rows[0]?.n ?? -1;
}

test('attached after initialize: attach rejects with one error that lists every problem', async () => {
  await dataSource.initialize();
  const error: unknown = await attach().catch((reason: unknown) => reason);
  expectEveryProblem(error);
  const owner = await dataSource.manager.save(dataSource.manager.create(Owner));
  await dataSource.manager.insert(Pet, { owner });
  await expect(attach()).rejects.toBeInstanceOf(ConfigurationError);
  await dataSource.destroy();
});

test('attached before: initialize rejects, and the DataSource is not left connected', async () => {
  const counters = await attach();
  const error: unknown = await dataSource.initialize().catch((reason: unknown) => reason);
  expectEveryProblem(error);
  expect(dataSource.isInitialized).toBe(false);
  expect(await connections()).toBe(0);
  expect(counters.definitions).toEqual([]);
  await counters.close();
});
