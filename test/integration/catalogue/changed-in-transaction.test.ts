import {
  Column,
  Entity,
  ManyToOne,
  type MigrationInterface,
  PrimaryGeneratedColumn,
  type QueryRunner,
  type Relation,
} from 'typeorm';
import { CounterCache, counterCacheEntities, type Mode } from 'typeorm-counter-cache';

import { type Fixture, newDataSource, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Shelf>({ relation: 'shelf', column: 'postsCount' })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @ManyToOne(() => Author, { onDelete: 'CASCADE' }) author!: Relation<Author>;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
}

const [first, second] = [{ id: 1 }, { id: 2 }];
const post = (author = first) => ({ author, shelf: first });

/** What one transaction does, on its query runner: one post of the first author is there, and one of the second. */
type Work = (runner: QueryRunner) => Promise<unknown>;

const TRIGGER = `
  CREATE FUNCTION hand_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."authorId" := 2; RETURN NEW; END';
  CREATE TRIGGER hand_over BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION hand_over()`;

/** Drops the foreign key to authors: posts stay when their author goes. */
const dropKey: Work = async (runner) => {
  const keys = (await runner.query(
    `SELECT quote_ident(conname) AS name FROM pg_constraint WHERE conrelid = 'post'::regclass AND confrelid = 'author'::regclass`,
  )) as readonly { readonly name: string }[];
  for (const { name } of keys) await runner.query(`ALTER TABLE post DROP CONSTRAINT ${name}`);
};

/** Text that TypeORM does not see. */
const byClient = async (runner: QueryRunner, sql: string): Promise<void> => {
  const client = (await runner.connect()) as { query(text: string): Promise<unknown> };
  await client.query(sql);
};

/** Posts per author, and posts on the shelf. */
type Counts = readonly [number | undefined, number, number];

const WORKS: readonly (readonly [string, Work, Counts])[] = [
  [
    'another table is made',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int)');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a column is added to the table that is written',
    async ({ manager }) => {
      await manager.query('ALTER TABLE post ADD COLUMN extra int');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'another table is made, and the one that is written is locked',
    async ({ manager }) => {
      await manager.query('CREATE TABLE archive (a int)');
      await manager.query('LOCK TABLE post, author, shelf');
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a trigger is made that hands posts over',
    async ({ manager }) => {
      await manager.query(TRIGGER);
      await manager.update(Post, { id: 1 }, { title: 'other' });
    },
    [0, 2, 2],
  ],
  [
    'a trigger is made, and taken back',
    async ({ manager }) => {
      await manager.query('SAVEPOINT before');
      await manager.query(TRIGGER);
      await manager.update(Post, { id: 1 }, { title: 'other' });
      await manager.query('ROLLBACK TO SAVEPOINT before');
      await manager.update(Post, { id: 1 }, { title: 'other' });
      await manager.insert(Post, post());
    },
    [2, 1, 3],
  ],
  [
    'a foreign key is dropped',
    async (runner) => {
      await dropKey(runner);
      await runner.manager.delete(Author, first);
    },
    [undefined, 1, 2],
  ],
  [
    'a foreign key is dropped, and taken back',
    async (runner) => {
      await runner.query('SAVEPOINT before');
      await dropKey(runner);
      await runner.manager.insert(Post, post());
      await runner.query('ROLLBACK TO SAVEPOINT before');
      await runner.manager.delete(Author, first);
    },
    [undefined, 1, 1],
  ],
  [
    'the search path is another one',
    async ({ manager }) => {
      await manager.query('CREATE SCHEMA elsewhere');
      await manager.query('CREATE TABLE elsewhere.author (id int PRIMARY KEY, "postsCount" int)');
      await manager.query('SET LOCAL search_path = public, elsewhere');
      await manager.insert(Post, post());
      const [row] = await manager.query<{ search_path: string }[]>('SHOW search_path');
      expect(row?.search_path).toBe('public, elsewhere');
    },
    [2, 1, 3],
  ],
];

/** Commands that are not seen: their targets are recounted by a worker. */
const UNSEEN: readonly (readonly [string, Work, Counts])[] = [
  [
    'another table is dropped, with a ROLLBACK TO in the same text',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int)');
      await manager.query('SAVEPOINT before');
      await manager.insert(Post, post());
      await manager.query('DROP TABLE scratch; ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
  [
    'another table is made, with a SAVEPOINT in the same text',
    async ({ manager }) => {
      await manager.query('CREATE TABLE scratch (a int); SAVEPOINT before');
      await manager.insert(Post, post());
      await manager.query('ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
  [
    'another table is made, and ROLLBACK TO is not seen',
    async (runner) => {
      await runner.query('CREATE TABLE scratch (a int)');
      await runner.query('SAVEPOINT before');
      await runner.manager.insert(Post, post());
      await byClient(runner, 'ROLLBACK TO SAVEPOINT before');
    },
    [1, 1, 2],
  ],
];

class AddsColumn1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE post ADD COLUMN extra int');
    await runner.manager.insert(Post, post());
  }

  async down(): Promise<void> {}
}

describeVersions('a transaction that changes tables, and writes', (server) => {
  let fixture: Fixture | undefined;
  const open = async (mode: Mode, worker: boolean, migrations: readonly NewableFunction[] = []): Promise<Fixture> => {
    const prepare = async (url: string): Promise<void> => {
      const dataSource = await newDataSource(url, [Author, Shelf, Post, ...counterCacheEntities]).initialize();
      await dataSource.manager.insert(Author, [{}, {}]);
      await dataSource.manager.insert(Shelf, {});
      await dataSource.manager.insert(Post, [post(), post(second)]);
      await dataSource.destroy();
    };
    const dataSource = {
      synchronize: false,
      migrations: [...migrations] as never,
      migrationsRun: migrations.length > 0,
    };
    const entities = [Author, Shelf, Post];
    fixture = await setup({ entities, dataSource, prepare, server: server(), worker, counters: { mode } });
    await fixture.counters.recalculate();
    return fixture;
  };
  const counts = async ({ dataSource: { manager } }: Fixture): Promise<Counts> => {
    const authors = await manager.find(Author, { order: { id: 'ASC' } });
    const of = (id: number) => authors.find((author) => author.id === id)?.postsCount;
    return [of(1), of(2) ?? Number.NaN, (await manager.findOneByOrFail(Shelf, first)).postsCount];
  };
  afterEach(() => fixture?.close());

  describe.each<Mode>(['buffered', 'outbox'])('%s', (mode) => {
    test.each(WORKS)('%s', async (_, work, expected) => {
      const opened = await open(mode, false);
      await opened.dataSource.transaction(({ queryRunner }) => work(queryRunner as QueryRunner));
      expect(await opened.counters.read(Shelf, 1, 'postsCount')).toBe(expected[2]);
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual(expected);
    });

    test.each(UNSEEN)('%s', async (_, work, expected) => {
      const opened = await open(mode, true);
      await opened.dataSource.transaction(({ queryRunner }) => work(queryRunner as QueryRunner));
      await until(async () => {
        const { dirty, batches, recalculations } = await opened.counters.status();
        return dirty + batches + recalculations === 0;
      });
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual(expected);
    });

    test('a migration, as the DataSource is initialized', async () => {
      const opened = await open(mode, false, [AddsColumn1700000000000]);
      await expectAgreed(opened);
      expect(await counts(opened)).toEqual([2, 1, 3]);
    });
  });

  test('one that is rolled back leaves nothing', async () => {
    const opened = await open('buffered', false);
    const { manager } = opened.dataSource;
    const rolledBack = manager.transaction(async (inner) => {
      await inner.query(TRIGGER);
      await inner.update(Post, { id: 1 }, { title: 'other' });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await manager.update(Post, { id: 1 }, { title: 'other', author: second });
    await expectAgreed(opened);
    expect(await counts(opened)).toEqual([0, 2, 2]);
  });

  test('others write meanwhile, and wait for no lock that is not of their own table', async () => {
    const opened = await open('buffered', false);
    const { manager } = opened.dataSource;
    await manager.transaction(async (inner) => {
      await inner.query('LOCK TABLE shelf IN ACCESS EXCLUSIVE MODE');
      await manager.query('CREATE TABLE other (a int)');
      await manager.query('ALTER TABLE author ADD COLUMN extra int');
      await manager.delete(Author, second);
    });
    await expectAgreed(opened);
    expect(await counts(opened)).toEqual([1, Number.NaN, 1]);
  });
});
