import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { ConfigurationError, CounterCache } from 'typeorm-counter-cache';

import { execute } from '../../support/database';
import { madeBySql } from '../../support/made-by-sql';
import { setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';

@Entity()
class Branch {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ nullable: true }) code!: string;
  @Column({ default: '' }) part!: string;
  @Column({ type: 'timestamp', nullable: true }) deletedAt!: Date | null;
  @Column({ default: 0 }) ordersCount!: number;
  @Column({ default: 0 }) itemsCount!: number;
}

@Entity()
@CounterCache<Order, Branch>({ relation: 'branch', column: 'ordersCount' })
class Order {
  @PrimaryColumn() number!: string;
  @ManyToOne(() => Branch, { createForeignKeyConstraints: false, nullable: true })
  @JoinColumn({ name: 'code', referencedColumnName: 'code' })
  branch!: Relation<Branch> | null;
}

@Entity()
@CounterCache<Item, Branch>({ relation: 'order.branch', column: 'itemsCount' })
@CounterCache<Item>({
  polymorphic: { id: 'subjectId', type: 'subjectType', targets: () => ({ box: Box }) },
  column: 'itemsCount',
})
class Item {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Order, { createForeignKeyConstraints: false, nullable: true }) order!: Relation<Order> | null;
  @Column({ type: 'integer', nullable: true }) subjectId!: number | null;
  @Column({ nullable: true }) subjectType!: string;
}

@Entity()
class Box {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) itemsCount!: number;
}

const ENTITIES = [Branch, Order, Item, Box];

const TABLES = `
  CREATE TABLE branch (id serial PRIMARY KEY, code varchar, part varchar NOT NULL DEFAULT '', "deletedAt" timestamp,
    "ordersCount" int NOT NULL DEFAULT 0, "itemsCount" int NOT NULL DEFAULT 0);
  CREATE TABLE "order" (number varchar, code varchar);
  CREATE TABLE item (id serial PRIMARY KEY, "orderNumber" varchar, "subjectId" int, "subjectType" varchar);
  CREATE TABLE box (id serial, "itemsCount" int NOT NULL DEFAULT 0);
  INSERT INTO branch (code) VALUES ('a');`;

const KEYS = `ALTER TABLE "order" ADD PRIMARY KEY (number); ALTER TABLE box ADD PRIMARY KEY (id);`;

/** Each leaves room for two rows of one code. */
const NOT_UNIQUE = {
  'no constraint': '',
  'a partial index': 'CREATE UNIQUE INDEX ON branch (code) WHERE "deletedAt" IS NULL',
  'an index of an expression': 'CREATE UNIQUE INDEX ON branch (lower(code))',
  'a constraint that is checked at COMMIT': 'ALTER TABLE branch ADD UNIQUE (code) DEFERRABLE INITIALLY DEFERRED',
  'a constraint of more columns': 'ALTER TABLE branch ADD UNIQUE (code, part)',
  'an index that is not unique': 'CREATE INDEX ON branch (code)',
  'child tables, which it does not span': 'ALTER TABLE branch ADD UNIQUE (code); CREATE TABLE sub () INHERITS (branch)',
};

describeVersions('the key of a target', (server) => {
  const open = (sql: string) => setup({ ...madeBySql(`${TABLES} ${sql}`), entities: ENTITIES, server: server() });
  const problemsOf = async (sql: string): Promise<readonly string[]> => {
    const error: unknown = await open(sql).then(
      (fixture) => fixture.close(),
      (thrown: unknown) => thrown,
    );
    if (error === undefined) return [];
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).problems;
  };

  test.each(Object.entries(NOT_UNIQUE))('is refused with %s', async (_, sql) => {
    expect(await problemsOf(`${KEYS} ${sql}`)).toEqual([
      expect.stringMatching(
        /^Order\.branch → Branch\.ordersCount: expected code to tell the rows of Branch apart in the database, got: .*public\.branch/,
      ),
      expect.stringMatching(
        /^Item\.order\.branch → Branch\.itemsCount: expected code to tell the rows of Branch apart/,
      ),
    ]);
  });

  test('is refused with all others at once, polymorphic targets and intermediate rows included', async () => {
    const problems = await problemsOf('');
    expect(problems).toHaveLength(4);
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.stringContaining('expected number to tell the rows of Order apart'),
        expect.stringContaining('expected id to tell the rows of Box apart'),
      ]),
    );
    expect(problems.join()).toContain('ALTER TABLE public.branch ADD UNIQUE ("code")');
  });

  test.each([
    ['a constraint', 'ALTER TABLE branch ADD UNIQUE (code)'],
    ['an index that covers others', 'CREATE UNIQUE INDEX ON branch (code) INCLUDE (part)'],
  ])('is accepted with %s', async (_, sql) => {
    expect(await problemsOf(`${KEYS} ${sql}`)).toEqual([]);
  });

  test('is refused where a foreign key sets the primary key of a row to its default', async () => {
    const key = `ALTER TABLE item ADD CONSTRAINT own FOREIGN KEY (id) REFERENCES box ON DELETE SET DEFAULT`;
    expect(await problemsOf(`${KEYS} ALTER TABLE branch ADD UNIQUE (code); ${key}`)).toEqual([
      expect.stringContaining('expected the foreign key "own" of public.item not to SET DEFAULT the primary key (id)'),
      expect.stringContaining('expected the foreign key "own" of public.item'),
    ]);
  });

  test('is reported once when it is lost later', async () => {
    const fixture = await open(`${KEYS} ALTER TABLE branch ADD CONSTRAINT one_code UNIQUE (code)`);
    const reported = new Promise((resolve) => {
      fixture.counters.on('error', resolve);
    });
    await execute(fixture.databaseUrl, 'ALTER TABLE branch DROP CONSTRAINT one_code');
    expect(await reported).toBeInstanceOf(ConfigurationError);
    await fixture.close();
    expect(fixture.errors).toHaveLength(2);
  });
});

@Entity()
class Profile {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
class Candidate {
  @PrimaryGeneratedColumn() id!: number;
  @OneToOne(() => Profile, { nullable: true })
  @JoinColumn()
  profile!: Relation<Profile> | null;
  @Column({ default: 0 }) visitsCount!: number;
}

@Entity()
@CounterCache<Visit, Candidate>({ relation: 'candidate', column: 'visitsCount' })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Candidate, { nullable: true, createForeignKeyConstraints: false })
  @JoinColumn([
    { name: 'candidateId', referencedColumnName: 'id' },
    { name: 'profileId', referencedColumnName: 'profile' },
  ])
  candidate!: Relation<Candidate> | null;
}

test('a key is unique that holds a unique one', async () => {
  const fixture = await setup({ entities: [Profile, Candidate, Visit] });
  expect(fixture.counters.definitions).toHaveLength(1);
  await fixture.close();
});
