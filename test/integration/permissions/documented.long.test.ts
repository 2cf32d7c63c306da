import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, NotPermittedError } from 'typeorm-counter-cache';

import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { openWorld, type World } from './tenants';

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
}

@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount', where: { published: true } })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', nullable: true, unique: true }) title!: string | null;
  @Column({ default: true }) published!: boolean;
  @Column() authorId!: number;
  @ManyToOne(() => Author, { nullable: false })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author>;
}

const DOCUMENT = readFileSync(join(__dirname, '../../../docs/privileges.md'), 'utf8');

/** A block of SQL in docs/privileges.md, with the roles of this database. */
function documented(name: string): string {
  const block = new RegExp(`<!-- tested: ${name} -->\\n\\n\`\`\`sql\\n([^\`]*|[^]*?)\`\`\``).exec(DOCUMENT)?.[1];
  if (block === undefined) throw new Error(`docs/privileges.md has no block '${name}'`);
  return block.replaceAll('app_worker', ':worker').replaceAll('app_writer', ':writer');
}

describeVersions('the privileges in docs/privileges.md', (server) => {
  let world: World;
  let author: Author;

  beforeEach(async () => {
    world = await openWorld(server(), [Author, Post]);
    // As in a database where nobody has opened the installation yet.
    await world.sql('TRUNCATE counter_cache_state, counter_cache_shard');
    await world.roles('worker', 'writer');
    author = await world.dataSource.manager.save(new Author());
  });
  afterEach(() => world.close());

  const column = async () => (await world.sql('SELECT "postsCount" AS n FROM author'))[0]?.['n'];

  test.each(['buffered', 'outbox'] as const)('are enough to work and to write: %s', async (mode) => {
    await world.sql(documented('worker'));
    const { counters, errors } = await world.attach('worker');
    await counters.startWorker();
    await world.sql(documented('writer'));
    const writer = await world.attach('writer', { mode });
    const { manager } = writer.dataSource;
    const posts = await manager.save(Post, [
      { authorId: author.id },
      { authorId: author.id },
      { authorId: author.id, title: 'known' },
    ]);
    await until(async () => (await column()) === 3);
    await manager.update(Post, posts[0]?.id ?? 0, { published: false });
    await manager.delete(Post, posts[1]?.id ?? 0);
    await manager.insert(Post, { authorId: author.id, published: false });
    await manager.upsert(Post, { title: 'known', authorId: author.id }, ['title']);
    await until(async () => (await column()) === 1);
    expect(await counters.read(Author, author.id, 'postsCount')).toBe(1);
    expect(await counters.verify()).toMatchObject({ checked: 1, fixedCount: 0 });
    await world.sql('UPDATE author SET "postsCount" = 7');
    expect(await counters.recalculate()).toMatchObject({ fixedCount: 1 });
    expect(await column()).toBe(1);
    await writer.counters.close();
    // The writer says that it has gone.
    const alive = `SELECT count(*)::int AS n FROM counter_cache_state WHERE starts_with(id, 'process:') AND value::jsonb ->> 'seen' <> '0'`;
    expect(await world.sql(alive)).toEqual([{ n: 1 }]);
    expect([...errors, ...writer.errors]).toEqual([]);
  });

  test.each(['bypass', 'policies'])('are enough under row security: %s', async (name) => {
    await world.sql(documented('worker'));
    await world.sql(documented('writer'));
    await world.sql(`ALTER TABLE author ENABLE ROW LEVEL SECURITY; ALTER TABLE post ENABLE ROW LEVEL SECURITY;
      CREATE POLICY writing ON post TO :writer USING (published) WITH CHECK (true)`);
    const { counters, errors } = await world.attach('worker');
    await expect(counters.startWorker()).rejects.toThrow(NotPermittedError);
    await world.sql(documented(name));
    await counters.startWorker();
    const writer = await world.attach('writer');
    await writer.dataSource.manager.save(Post, { authorId: author.id });
    await until(async () => (await column()) === 1);
    expect(await counters.verify()).toMatchObject({ fixedCount: 0 });
    expect([...errors, ...writer.errors]).toEqual([]);
  });

  test('are listed, all at once, for a worker that has none of them', async () => {
    await world.sql(`GRANT SELECT ON counter_cache_state, counter_cache_shard, counter_cache_outbox TO :worker;
      GRANT INSERT, UPDATE ON counter_cache_state, counter_cache_shard TO :worker`);
    const { counters } = await world.attach('worker');
    const refused = (await counters.startWorker().catch((error: unknown) => error)) as NotPermittedError;
    expect(refused).toBeInstanceOf(NotPermittedError);
    for (const problem of refused.problems) {
      const [, grant] = /\. (GRANT .*)$/.exec(problem) ?? [];
      await world.sql(grant ?? '');
    }
    expect(refused.problems.map((problem) => problem.replaceAll(world.nameOf('worker'), 'w'))).toEqual([
      'role w lacks DELETE on public.counter_cache_state. GRANT DELETE ON public.counter_cache_state TO "w"',
      'role w lacks SELECT, UPDATE, INSERT, DELETE on public.counter_cache_ledger. GRANT SELECT, UPDATE, INSERT, DELETE ON public.counter_cache_ledger TO "w"',
      'role w lacks UPDATE, DELETE on public.counter_cache_outbox. GRANT UPDATE, DELETE ON public.counter_cache_outbox TO "w"',
      'role w lacks SELECT, UPDATE on public.author. GRANT SELECT ("id", "postsCount"), UPDATE ("postsCount") ON public.author TO "w"',
      'role w lacks SELECT on public.post. GRANT SELECT ("published", "authorId") ON public.post TO "w"',
    ]);
    await counters.startWorker();
  });

  test('are named by a process that cannot open the installation', async () => {
    await world.sql('REVOKE USAGE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO :writer');
    const names = async () =>
      ((await world.attach('writer').catch((error: unknown) => error)) as NotPermittedError).problems;
    expect(await names()).toEqual(
      ['state', 'shard', 'outbox'].map(
        (table) => expect.stringContaining(`GRANT SELECT ON public.counter_cache_${table} TO`) as unknown,
      ),
    );
    await world.sql('GRANT SELECT ON counter_cache_state, counter_cache_shard, counter_cache_outbox TO :writer');
    expect(await names()).toEqual(
      ['state', 'shard'].map(
        (table) => expect.stringContaining(`GRANT UPDATE, INSERT ON public.counter_cache_${table} TO`) as unknown,
      ),
    );
    await world.sql(`ALTER TABLE counter_cache_state ENABLE ROW LEVEL SECURITY`);
    expect(await names()).toEqual([
      expect.stringContaining('row security may hide rows of public.counter_cache_state') as unknown,
    ]);
  });
});
