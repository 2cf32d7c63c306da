import { Column, Entity, type EntityManager, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { execute } from './schemas';

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) published!: number;
  @Column({ default: 0 }) even!: number;
  @Column({ default: 0 }) drafts!: number;
}

@Entity()
@CounterCache<Post, Author>({
  relation: 'author',
  column: 'published',
  method: (author, manager) => manager.countBy(Post, { author: { id: author.id } }),
})
@CounterCache<Post, Author>({ relation: 'author', column: 'even', if: ({ id }) => id % 2 === 0 })
@CounterCache<Post, Author>({ relation: 'author', column: 'drafts', where: { title: 'draft' } })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 'draft' }) title!: string;
  @ManyToOne(() => Author) author!: Relation<Author>;
}

describeVersions('recounts on connections that were left with another search path', (server) => {
  let f: Fixture;

  beforeAll(async () => {
    f = await setup({ entities: [Author, Post], server: server() });
    await f.dataSource.manager.save(Author, [{}, {}]);
    await f.dataSource.manager.insert(Post, [{ author: { id: 1 } }, { author: { id: 1 } }, { author: { id: 2 } }]);
    await f.counters.flush();
    await execute(
      f.databaseUrl,
      `CREATE SCHEMA a; CREATE TABLE a.author (LIKE author INCLUDING ALL); CREATE TABLE a.post (LIKE post INCLUDING ALL);
       INSERT INTO a.author (id) VALUES (1), (2), (3); INSERT INTO a.post (id, "authorId") SELECT n, 1 FROM generate_series(1, 9) n`,
    );
    const runners = Array.from({ length: 20 }, () => f.dataSource.createQueryRunner());
    for (const runner of runners) await runner.query('SET search_path = a');
    await Promise.all(runners.map((runner) => runner.release()));
  });
  afterAll(async () => {
    await f.close();
    expect(f.errors).toEqual([]);
  });

  const columns = (schema: string) =>
    execute(f.databaseUrl, `SELECT id, published, even, drafts FROM ${schema}.author ORDER BY id`);

  test('by a method, by functions and by SQL, of all targets and of some, mean the tables of the opening', async () => {
    const right = [
      { id: 1, published: 2, even: 1, drafts: 2 },
      { id: 2, published: 1, even: 0, drafts: 1 },
    ];
    expect(await columns('public')).toEqual(right);
    expect(await f.counters.verify()).toMatchObject({ checked: 2, fixedCount: 0 });
    await execute(f.databaseUrl, 'UPDATE public.author SET published = 50, even = 50, drafts = 50');
    expect(await f.counters.recalculate({ target: Author })).toMatchObject({
      checked: 2,
      fixedCount: 6,
      unsettled: [],
    });
    expect(await columns('public')).toEqual(right);
    await execute(f.databaseUrl, 'UPDATE public.author SET published = 50, even = 50, drafts = 50');
    await f.counters.recalculate({ target: Author, ids: [1] });
    await f.counters.recalculate({ target: Author, where: { id: 2 } });
    expect(await columns('public')).toEqual(right);
    expect(await columns('a')).toEqual([1, 2, 3].map((id) => ({ id, published: 0, even: 0, drafts: 0 })));
  });

  test('work of our own leaves the connections as they were', async () => {
    const path = await f.dataSource.transaction((manager: EntityManager) =>
      manager.query<{ search_path: string }[]>('SHOW search_path'),
    );
    expect(path).toEqual([{ search_path: 'a' }]);
  });
});
