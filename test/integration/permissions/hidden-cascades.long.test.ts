import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { asTenant, Author, Category, type Member, openWorld, Post, secure, type World } from './tenants';

describeVersions('rows that a foreign key deletes out of sight', (server) => {
  let world: World;
  let writer: Member;
  let worker: Member;

  beforeAll(async () => {
    world = await openWorld(server());
    await world.roles('writer', 'worker', 'deleter', 'blind', 'guest');
    await world.sql(`ALTER ROLE :worker BYPASSRLS;
      ${secure('post')};
      CREATE POLICY all_rows ON author TO :writer USING (true);
      CREATE POLICY others ON author FOR SELECT TO :deleter USING (true);
      CREATE POLICY gone ON author FOR DELETE TO :deleter USING (tenant <> 'kept');
      GRANT ALL ON ALL TABLES IN SCHEMA public TO :writer, :worker, :deleter;
      GRANT ALL ON counter_cache_state, counter_cache_shard, counter_cache_outbox TO :blind, :guest;
      GRANT SELECT, DELETE ON author, category TO :blind;
      GRANT SELECT, DELETE, UPDATE ON author TO :guest;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO :writer, :worker, :deleter, :blind`);
    writer = await world.attach('writer');
    worker = await world.attach('worker');
    await worker.counters.startWorker();
  });
  afterAll(() => world.close());
  afterEach(() => expect(worker.errors).toEqual([]));

  /** An author with a post of each tenant, both in one category. */
  async function write(tenant = 'a'): Promise<{ author: Author; category: Category }> {
    const { manager } = world.dataSource;
    const author = await manager.save(Author, { tenant });
    const category = await manager.save(new Category());
    for (const one of ['a', 'b'])
      await asTenant(writer, one, (own) =>
        own.save(Post, { tenant: one, authorId: author.id, categoryId: category.id }),
      );
    await until(async () => (await columnOf(category.id)) === 2);
    return { author, category };
  }

  const columnOf = async (id: number, table = 'category') =>
    (await world.sql(`SELECT "postsCount" AS n FROM ${table} WHERE id = $1`, [id]))[0]?.['n'];
  const postsOf = async (id: number) =>
    (await world.sql('SELECT count(*)::int AS n FROM post WHERE "categoryId" = $1', [id]))[0]?.['n'];

  test('by a policy on the referring table: what they counted for is recounted', async () => {
    const { author, category } = await write();
    await asTenant(writer, 'a', (manager) => manager.delete(Author, author.id));
    expect(await postsOf(category.id)).toBe(0);
    await until(async () => (await columnOf(category.id)) === 0);
    expect(writer.errors).toMatchObject([
      { code: 'NOT_PERMITTED', problems: [expect.stringContaining('row security may hide rows of public.post')] },
    ]);
    writer.errors.splice(0);
    // Once.
    const again = await write();
    await asTenant(writer, 'a', (manager) => manager.delete(Author, again.author.id));
    await until(async () => (await columnOf(again.category.id)) === 0);
    expect(writer.errors).toEqual([]);
  });

  test('what counted only for the deleted row is no concern', async () => {
    const { author, category } = await write();
    await asTenant(writer, 'a', (manager) => manager.delete(Category, category.id));
    await writer.counters.settled();
    expect(await columnOf(author.id, 'author')).toBe(2);
    // A recount of all targets would have been reported.
    expect(writer.errors).toEqual([]);
  });

  test('by the policies on the table itself: a role that may see and delete, and not change, deletes what it would without', async () => {
    await world.sql('ALTER TABLE author ENABLE ROW LEVEL SECURITY');
    const { author, category } = await write();
    const kept = await write('kept');
    const deleter = await world.attach('deleter');
    const { affected } = await asTenant(deleter, 'a', (manager) =>
      manager.createQueryBuilder().delete().from(Author).whereInIds([author.id, kept.author.id]).execute(),
    );
    expect(affected).toBe(1);
    await until(async () => (await columnOf(category.id)) === 0);
    await until(async () => (await columnOf(kept.author.id, 'author')) === 2);
    expect(await columnOf(kept.category.id)).toBe(2);
    expect(deleter.errors).toMatchObject([{ code: 'NOT_PERMITTED' }]);
    await world.sql('ALTER TABLE author DISABLE ROW LEVEL SECURITY');
  });

  test('for lack of the privilege to lock: a role that may only delete deletes', async () => {
    const { author, category } = await write();
    const blind = await world.attach('blind');
    await blind.dataSource.manager.delete(Author, author.id);
    await until(async () => (await columnOf(category.id)) === 0);
    expect(blind.errors).toMatchObject([
      { code: 'NOT_PERMITTED', problems: [expect.stringContaining('GRANT SELECT, UPDATE ON public.author')] },
    ]);
  });

  test('for lack of any privilege on the referring table', async () => {
    const { author, category } = await write();
    const guest = await world.attach('guest');
    await guest.dataSource.manager.delete(Author, author.id);
    await until(async () => (await columnOf(category.id)) === 0);
    expect(guest.errors).toMatchObject([
      { code: 'NOT_PERMITTED', problems: [expect.stringContaining('GRANT SELECT, UPDATE ON public.post')] },
    ]);
  });

  test('by a role that the caller has set, whatever the one that connects may do', async () => {
    await world.sql('GRANT :blind, :guest TO :worker');
    for (const role of ['blind', 'guest']) {
      const { author, category } = await write();
      const other = await world.attach('worker');
      await other.dataSource.transaction(async (manager) => {
        await manager.query(`SET LOCAL ROLE ${world.nameOf(role)}`);
        await manager.delete(Author, author.id);
      });
      await until(async () => (await columnOf(category.id)) === 0);
      expect(other.errors).toMatchObject([{ code: 'NOT_PERMITTED', context: { role: world.nameOf(role) } }]);
      // With its own again.
      const own = await write();
      other.errors.splice(0);
      await other.dataSource.manager.delete(Author, own.author.id);
      await until(async () => (await columnOf(own.category.id)) === 0);
      expect(other.errors).toEqual([]);
    }
  });

  test('many of them at once end', async () => {
    const all = [await write(), await write(), await write(), await write()];
    await Promise.all(all.map(({ author }) => asTenant(writer, 'b', (manager) => manager.delete(Author, author.id))));
    for (const { category } of all) await until(async () => (await columnOf(category.id)) === 0);
  });

  test('while a recount of all targets is under way: it ends, and begins again', async () => {
    const { author, category } = await write();
    await world.sql(`INSERT INTO counter_cache_state VALUES ('recount:category:id', '{"after":["999999"]}')`);
    await asTenant(writer, 'b', (manager) => manager.delete(Author, author.id));
    await until(async () => (await columnOf(category.id)) === 0);
    expect(await world.sql(`SELECT 1 FROM counter_cache_state WHERE id LIKE 'recount:%'`)).toEqual([]);
  });

  test('a deletion that is rolled back asks for nothing', async () => {
    const { author, category } = await write();
    const undone = asTenant(writer, 'a', async (manager) => {
      await manager.delete(Author, author.id);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await writer.counters.settled();
    expect(await columnOf(category.id)).toBe(2);
    expect(await worker.counters.verify()).toMatchObject({ fixedCount: 0 });
  });

  test('a trigger that keeps a row keeps what refers to it', async () => {
    await world.sql(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RETURN CASE WHEN OLD.tenant = 'kept' THEN NULL ELSE OLD END; END $$;
      CREATE TRIGGER keep BEFORE DELETE ON author FOR EACH ROW EXECUTE FUNCTION keep()`);
    const [gone, kept] = [await write(), await write('kept')];
    await worker.dataSource.manager.delete(Author, [gone.author.id, kept.author.id]);
    await until(async () => (await columnOf(gone.category.id)) === 0);
    expect(await columnOf(kept.category.id)).toBe(2);
    expect(await worker.counters.verify()).toMatchObject({ fixedCount: 0 });
    await world.sql('DROP TRIGGER keep ON author');
  });
});
