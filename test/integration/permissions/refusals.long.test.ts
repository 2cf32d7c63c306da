import { CounterCacheError, NotPermittedError } from 'typeorm-counter-cache';

import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { Author, type Member, openWorld, OWN_TABLES, Post, type World } from './tenants';

describeVersions('a role that may write, and not what counting needs', (server) => {
  let world: World;
  let author: Author;

  beforeAll(async () => {
    world = await openWorld(server());
    await world.roles('narrow', 'insert', 'delete', 'none', 'login', 'request');
    await world.sql(`ALTER ROLE :login NOINHERIT;
      GRANT SELECT ON ${OWN_TABLES} TO :narrow, :insert, :delete, :none, :login;
      GRANT INSERT, UPDATE ON counter_cache_state TO :narrow, :insert, :delete, :none, :login;
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO :narrow, :insert, :delete, :login, :request;
      GRANT INSERT, SELECT (id) ON post TO :narrow, :insert, :request;
      GRANT SELECT ("authorId", "categoryId") ON post TO :insert;
      GRANT DELETE, SELECT (id) ON post TO :narrow;
      GRANT DELETE, SELECT (id, "authorId", "categoryId") ON post TO :delete;
      GRANT UPDATE ("authorId") ON post TO :narrow;
      GRANT :request TO :login`);
    author = await world.dataSource.manager.save(Author, { tenant: 'a' });
  });
  afterAll(() => world.close());

  const attempt = async (work: () => Promise<unknown>): Promise<unknown> => {
    try {
      await work();
    } catch (error) {
      return error;
    }
    throw new Error('expected a refusal');
  };

  function expectRefusal(error: unknown, role: string, grant: string): void {
    expect(error).toBeInstanceOf(NotPermittedError);
    const { code, problems, context, cause } = error as NotPermittedError;
    expect({ code, role: context['role'], problems, cause }).toEqual({
      code: 'NOT_PERMITTED',
      role: world.nameOf(role),
      problems: [expect.stringContaining(grant.replaceAll(/:(\w+)/g, (_, name: string) => `"${world.nameOf(name)}"`))],
      cause: expect.objectContaining({ code: '42501' }) as unknown,
    });
  }

  const insert = ({ dataSource }: Member) => dataSource.manager.insert(Post, { tenant: 'a', authorId: author.id });

  test('is told at its first insert, with the reason and what to grant', async () => {
    const narrow = await world.attach('narrow');
    const grant = 'GRANT SELECT ("authorId", "categoryId") ON public.post TO :narrow';
    expectRefusal(await attempt(() => insert(narrow)), 'narrow', grant);
    expectRefusal(
      await attempt(() => narrow.dataSource.manager.save(Post, { tenant: 'a', authorId: author.id })),
      'narrow',
      grant,
    );
    expectRefusal(await attempt(() => narrow.dataSource.manager.delete(Post, 1)), 'narrow', grant);
    expectRefusal(await attempt(() => narrow.dataSource.manager.update(Post, 1, { authorId: null })), 'narrow', grant);
    expect(await world.sql('SELECT 1 FROM post')).toEqual([]);
  });

  test('by the role that the caller has set', async () => {
    const login = await world.attach('login');
    const role = world.nameOf('request');
    for (const set of [`SET LOCAL ROLE ${role}`, `SELECT set_config('role', '${role}', true)`]) {
      const error = await attempt(() =>
        login.dataSource.transaction(async (manager) => {
          await manager.query(set);
          await manager.insert(Post, { tenant: 'a', authorId: author.id });
        }),
      );
      expectRefusal(error, 'request', 'GRANT SELECT ("authorId", "categoryId") ON public.post TO :request');
    }
    // Its own role may not insert at all.
    const own = await attempt(() => insert(login));
    expect(own).not.toBeInstanceOf(CounterCacheError);
    expect(own).toMatchObject({ code: '42501' });
  });

  test("a lack that is the caller's own stays the driver's error", async () => {
    const none = await world.attach('none');
    const { manager } = none.dataSource;
    const writes = [
      () => insert(none),
      () => manager.delete(Post, 1),
      () => manager.delete(Author, 1),
      () => manager.update(Post, 1, { authorId: null }),
      () => manager.save(Post, { tenant: 'a', authorId: author.id }),
    ];
    for (const write of writes) {
      const error = await attempt(write);
      expect(error).not.toBeInstanceOf(CounterCacheError);
      expect(error).toMatchObject({ code: '42501', name: 'QueryFailedError' });
    }
  });

  test('writes once it may read what it writes: inserts and deletes alone', async () => {
    const [inserter, deleter] = [await world.attach('insert'), await world.attach('delete')];
    await inserter.dataSource.manager.insert(Post, [
      { tenant: 'a', authorId: author.id },
      { tenant: 'a', authorId: author.id },
    ]);
    await deleter.dataSource.manager.delete(Post, { authorId: author.id });
    await insert(inserter);
    await inserter.counters.settled();
    await deleter.counters.settled();
    await world.sql('ALTER ROLE :login SUPERUSER');
    const worker = await world.attach('login');
    await worker.counters.startWorker();
    const columnOf = async () => (await world.sql('SELECT "postsCount" AS n FROM author'))[0]?.['n'];
    await until(async () => (await columnOf()) === 1);
    expect(await worker.counters.verify()).toMatchObject({ fixedCount: 0 });
    expect([...inserter.errors, ...deleter.errors, ...worker.errors]).toEqual([]);
    await world.sql('ALTER ROLE :login NOSUPERUSER');
  });

  test('is told what the outbox needs', async () => {
    const member = await world.attach('insert', { mode: 'outbox' });
    const grant = 'GRANT INSERT, DELETE ON public.counter_cache_outbox TO :insert';
    expectRefusal(await attempt(() => insert(member)), 'insert', grant);
    const error = await attempt(() =>
      member.dataSource.transaction((manager) => manager.insert(Post, { tenant: 'a', authorId: author.id })),
    );
    expectRefusal(error, 'insert', grant);
    await world.sql(
      `GRANT INSERT, DELETE ON counter_cache_outbox TO :insert; REVOKE USAGE ON SEQUENCE counter_cache_outbox_id_seq FROM :insert`,
    );
    expectRefusal(
      await attempt(() => insert(member)),
      'insert',
      'GRANT USAGE ON SEQUENCE public.counter_cache_outbox_id_seq TO :insert',
    );
    await world.sql(`GRANT USAGE ON SEQUENCE counter_cache_outbox_id_seq TO :insert`);
    await insert(member);
    await member.dataSource.transaction((manager) => manager.insert(Post, { tenant: 'a', authorId: author.id }));
  });
});
